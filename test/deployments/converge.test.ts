import { describe, expect, it } from "vitest";
import { converge, type ReportedFields } from "../../src/deployments/converge.ts";
import type { DeploymentState, Deployment as Report } from "../../src/providers/deployment-provider.ts";

const at = (second: number) => new Date(Date.UTC(2026, 0, 31, 12, 0, second));

function report(state: DeploymentState, second: number, more: Partial<Report> = {}): Report {
	return {
		id: "dpl_1",
		targetId: "prj_web",
		state,
		context: "preview",
		isPreview: true,
		isRedeploy: false,
		branch: null,
		commitSha: null,
		commitMessage: null,
		commitAuthor: null,
		pullRequest: null,
		isFork: null,
		url: null,
		inspectUrl: null,
		errorCode: null,
		createdAt: null,
		occurredAt: at(second),
		...more,
	};
}

function convergeAll(reports: readonly Report[]): ReportedFields & { news: string[] } {
	let fields: ReportedFields | null = null;
	const news: string[] = [];
	for (const each of reports) {
		const step = converge(fields, each, each.occurredAt ?? at(0));
		fields = step.fields;
		if (step.news !== null) news.push(step.news);
	}
	if (fields === null) throw new Error("no reports");
	return { ...fields, news };
}

function* permutations<Item>(items: readonly Item[]): Generator<Item[]> {
	if (items.length === 0) yield [];
	for (const [index, item] of items.entries()) {
		const rest = items.toSpliced(index, 1);
		for (const order of permutations(rest)) yield [item, ...order];
	}
}

/** Whatever the order, and with one report twice: one end, and the same stages announced. */
function endOfAnyOrder(reports: readonly Report[]) {
	const ends = new Set<string>();
	for (const order of permutations(reports)) {
		const { news, announced, ...end } = convergeAll([...order, order[0] as Report]);
		expect(announced).toEqual(news);
		ends.add(JSON.stringify({ ...end, news: news.toSorted() }));
	}
	expect([...ends]).toHaveLength(1);
	return JSON.parse([...ends][0] as string);
}

describe("the reports of one deployment", () => {
	it("converge to one state and announce each stage once, in any order and twice", () => {
		const end = endOfAnyOrder([
			report("created", 1, { branch: "checkout", createdAt: at(1) }),
			report("building", 2),
			report("ready", 9, { url: "https://a.example" }),
			report("ready", 11),
			report("promoted", 30, { context: "production", isPreview: false }),
		]);
		expect(end).toMatchObject({
			state: "promoted",
			branch: "checkout",
			url: "https://a.example",
			context: "production",
			isPreview: false,
			startedAt: at(1).toISOString(),
			readyAt: at(9).toISOString(),
			news: ["created", "promoted", "ready"],
		});
	});

	it("that contradict each other at one time converge too", () => {
		const contradicting = [report("ready", 5), report("failed", 5), report("canceled", 5)];
		expect(endOfAnyOrder(contradicting)).toMatchObject({ state: "failed" });
	});

	it("follow each other by time within a phase, and never leave a later phase for an earlier one", () => {
		expect(endOfAnyOrder([report("failed", 5), report("ready", 8)])).toMatchObject({ state: "ready" });
		expect(endOfAnyOrder([report("ready", 5), report("failed", 8)])).toMatchObject({ state: "failed" });
		expect(endOfAnyOrder([report("ready", 5), report("building", 8)])).toMatchObject({ state: "ready" });
		expect(endOfAnyOrder([report("promoted", 5), report("ready", 8)])).toMatchObject({ state: "promoted" });
	});
});
