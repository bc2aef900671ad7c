import { describe, expect, it } from "vitest";
import type { OwnedVariable } from "../../src/providers/deployment-provider.ts";
import { failure, type NetlifySite, startNetlify, urls } from "./netlify-site.ts";

const everywhere = (value: string) => ({
	production: `postgres://${value}`,
	"deploy-preview": `postgres://${value}`,
	"branch-deploy": `postgres://${value}`,
});

function push(
	{ netlify, access }: NetlifySite,
	desired: ReturnType<typeof urls>,
	owned: OwnedVariable[] = [],
) {
	return netlify.pushVariables(access, { desired, owned });
}

/** A variable that the site's owner made by hand. */
async function ownersVariable({ fake }: NetlifySite, body: object): Promise<void> {
	const path = `/api/v1/accounts/${fake.site.accountId}/env?site_id=${fake.site.id}`;
	const response = await fetch(`${fake.origin}${path}`, {
		method: "POST",
		headers: { authorization: `Bearer ${fake.token}`, "content-type": "application/json" },
		body: JSON.stringify([body]),
	});
	if (response.status !== 201) throw new Error(`the fake answered ${response.status}`);
	fake.exchanges.splice(0);
}

describe("variables at Netlify", () => {
	it("are written as secrets for builds, functions and the runtime, in three contexts and never for all", async () => {
		const site = await startNetlify();
		const { written, takenOver, owned } = await push(site, urls("one"));
		expect(site.fake.values("DATABASE_URL")).toEqual(everywhere("one"));
		expect(site.fake.values("DATABASE_URL_UNPOOLED")).toEqual(everywhere("one"));
		const [variable] = [
			...(site.fake.variables.get(`${site.fake.site.accountId}/${site.fake.site.id}`) ?? []),
		];
		expect(variable?.[1]).toMatchObject({ is_secret: true, scopes: ["builds", "functions", "runtime"] });
		expect(written).toHaveLength(2);
		expect(takenOver).toEqual([]);
		expect(owned).toHaveLength(2);
		expect(JSON.stringify(owned)).not.toContain("postgres://");
	});

	it("cost one read and no write when nothing has changed", async () => {
		const site = await startNetlify();
		const { owned } = await push(site, urls("one"));
		site.fake.exchanges.splice(0);
		const again = await push(site, urls("one"), owned);
		expect(again).toEqual({ owned, written: [], takenOver: [] });
		expect(site.fake.exchanges.map(({ method }) => method)).toEqual(["GET"]);
	});

	it.each([true, false])(
		"are replaced in one call a key when only ours stand there (ids kept: %s)",
		async (keeps) => {
			const site = await startNetlify();
			site.fake.quirks.valuesKeepIds = keeps;
			const first = await push(site, urls("one"));
			site.fake.exchanges.splice(0);
			const second = await push(site, urls("two"), first.owned);
			expect(site.fake.values("DATABASE_URL")).toEqual(everywhere("two"));
			expect(site.fake.writes()).toHaveLength(2);
			expect(second.takenOver).toEqual([]);
			site.fake.exchanges.splice(0);
			expect((await push(site, urls("two"), second.owned)).written).toEqual([]);
		},
	);

	it("are written without scopes on a plan that has none", async () => {
		const site = await startNetlify({ plan: "free" });
		const { owned } = await push(site, urls("one"));
		await push(site, urls("two"), owned);
		expect(site.fake.values("DATABASE_URL")).toEqual(everywhere("two"));
	});

	it("go to production alone when every branch has its own", async () => {
		const site = await startNetlify();
		const { owned } = await push(site, urls("one"));
		const targets = [...site.netlify.defaultTargets({ previewBranches: true })];
		const production = await push(site, urls("one", { targets }), owned);
		expect(site.fake.values("DATABASE_URL")).toEqual({ production: "postgres://one" });
		site.fake.exchanges.splice(0);
		expect((await push(site, urls("one", { targets }), production.owned)).written).toEqual([]);
		expect(site.fake.writes()).toEqual([]);
	});

	it("of a branch and of the project leave each other alone", async () => {
		const site = await startNetlify();
		const base = await push(site, urls("one"));
		const branch = await push(site, urls("preview", { branch: "feature/x" }), base.owned);
		const all = [...base.owned, ...branch.owned];
		expect(site.fake.values("DATABASE_URL")).toEqual({
			...everywhere("one"),
			"branch:feature/x": "postgres://preview",
		});
		site.fake.exchanges.splice(0);
		expect((await push(site, urls("one"), all)).written).toEqual([]);
		expect((await push(site, urls("preview", { branch: "feature/x" }), all)).written).toEqual([]);
		expect(site.fake.writes()).toEqual([]);
		await push(site, urls("two"), all);
		expect(site.fake.values("DATABASE_URL")).toEqual({
			...everywhere("two"),
			"branch:feature/x": "postgres://preview",
		});
	});

	it("that someone changed by hand are written again", async () => {
		const site = await startNetlify();
		const { owned } = await push(site, urls("one"));
		const variables = site.fake.variables.get(`${site.fake.site.accountId}/${site.fake.site.id}`);
		const variable = variables?.get("DATABASE_URL");
		const value = variable?.values[0];
		if (variable === undefined || value === undefined) throw new Error("Nothing stands there.");
		value.value = "postgres://elsewhere";
		variable.updated_at = "2031-01-01T00:00:00.000Z";
		const again = await push(site, urls("one"), owned);
		expect(again.written).toEqual([{ key: "DATABASE_URL", branch: null }]);
		expect(site.fake.values("DATABASE_URL")).toEqual(everywhere("one"));
	});

	it("that leave a context leave the branches' values there, and then rest", async () => {
		const site = await startNetlify();
		const base = await push(site, urls("one"));
		const branch = await push(site, urls("preview", { branch: "feature/x" }), base.owned);
		const desired = urls("one", { targets: ["production"] });
		const less = await push(site, desired, [...base.owned, ...branch.owned]);
		const left = { production: "postgres://one", "branch:feature/x": "postgres://preview" };
		expect(site.fake.values("DATABASE_URL")).toEqual(left);
		site.fake.exchanges.splice(0);
		expect((await push(site, desired, [...less.owned, ...branch.owned])).written).toEqual([]);
		expect(site.fake.writes()).toEqual([]);
	});

	it("that someone made readable become secret again, and are left on removal", async () => {
		const site = await startNetlify();
		const { owned } = await push(site, urls("one"));
		const variables = site.fake.variables.get(`${site.fake.site.accountId}/${site.fake.site.id}`);
		const variable = variables?.get("DATABASE_URL");
		if (variable === undefined) throw new Error("Nothing stands there.");
		variable.is_secret = false;
		const [first, second] = owned;
		expect(await site.netlify.removeVariables(site.access, owned)).toEqual({
			removed: [second],
			kept: [first],
		});
		expect(site.fake.values("DATABASE_URL")).toEqual(everywhere("one"));
		await push(site, urls("one"), owned);
		expect(variables?.get("DATABASE_URL")?.is_secret).toBe(true);
	});

	it("that stood there before are taken over and said so; values of other contexts stay", async () => {
		const site = await startNetlify();
		await ownersVariable(site, {
			key: "DATABASE_URL",
			values: [
				{ context: "all", value: "postgres://old" },
				{ context: "branch", context_parameter: "staging", value: "postgres://staging" },
			],
		});
		const { takenOver } = await push(site, urls("one", { targets: ["production"] }));
		expect(takenOver).toEqual([{ key: "DATABASE_URL", branch: null }]);
		expect(site.fake.values("DATABASE_URL")).toEqual({
			production: "postgres://one",
			"deploy-preview": "postgres://old",
			"branch-deploy": "postgres://old",
			dev: "postgres://old",
			"branch:staging": "postgres://staging",
		});
	});

	it("that stood there as a secret of others keep the values that nobody can read", async () => {
		const site = await startNetlify();
		await ownersVariable(site, {
			key: "DATABASE_URL",
			is_secret: true,
			values: [
				{ context: "production", value: "postgres://old" },
				{ context: "branch", context_parameter: "staging", value: "postgres://staging" },
			],
		});
		expect((await push(site, urls("one"))).takenOver).toEqual([{ key: "DATABASE_URL", branch: null }]);
		expect(site.fake.values("DATABASE_URL")).toEqual({
			...everywhere("one"),
			"branch:staging": "postgres://staging",
		});
	});

	it("made by another at the same moment are taken over instead of failing", async () => {
		const site = await startNetlify();
		await ownersVariable(site, {
			key: "DATABASE_URL",
			values: [{ context: "all", value: "postgres://old" }],
		});
		site.fake.faults.push({ times: 1, method: "GET", answer: { status: 200, body: [] } });
		await push(site, urls("one"));
		expect(site.fake.values("DATABASE_URL")).toMatchObject(everywhere("one"));
	});

	it("are removed without a trace, and what is gone already counts as removed", async () => {
		const site = await startNetlify();
		const base = await push(site, urls("one"));
		const branch = await push(site, urls("preview", { branch: "feature/x" }), base.owned);
		expect(await site.netlify.removeVariables(site.access, branch.owned)).toEqual({
			removed: branch.owned,
			kept: [],
		});
		expect(site.fake.values("DATABASE_URL")).toEqual(everywhere("one"));
		const all = [...base.owned, ...branch.owned];
		expect(await site.netlify.removeVariables(site.access, all)).toEqual({ removed: all, kept: [] });
		expect(site.fake.values("DATABASE_URL")).toBeNull();
		expect(await site.netlify.removeVariables(site.access, all)).toEqual({ removed: all, kept: [] });
	});

	it("are left when someone else wrote them since", async () => {
		const site = await startNetlify();
		site.fake.quirks.valuesKeepIds = false;
		const { owned } = await push(site, urls("one"));
		const others = await push(site, urls("others").slice(0, 1), owned);
		const [first, second] = owned;
		expect(await site.netlify.removeVariables(site.access, owned)).toEqual({
			removed: [second],
			kept: [first],
		});
		expect(site.fake.values("DATABASE_URL")).toEqual(everywhere("others"));
		expect(others.owned).toHaveLength(1);
	});

	it("find the account by the site where it is not known", async () => {
		const { netlify, access, fake } = await startNetlify();
		const target = { ...access.target, teamId: null };
		await netlify.pushVariables({ ...access, target }, { desired: urls("one"), owned: [] });
		expect(fake.values("DATABASE_URL")).toEqual(everywhere("one"));
	});

	it("are refused to a token that may only read, as forbidden", async () => {
		const site = await startNetlify();
		site.fake.tokens.set(site.fake.token, {
			userId: "u",
			accountIds: [site.fake.site.accountId],
			canWrite: false,
		});
		expect(await failure(push(site, urls("one")))).toMatchObject({ reason: "forbidden", status: 403 });
		expect(site.fake.values("DATABASE_URL")).toBeNull();
	});

	it.each([
		["with Retry-After", { retryAfter: "7" }, 7, 7],
		["without it, until the reset", { resetSeconds: 42 }, 40, 43],
	])("wait as long as a 429 says, %s", async (_, wait, least, most) => {
		const site = await startNetlify();
		site.fake.rateLimitNext(1, wait);
		const error = await failure(push(site, urls("one")));
		expect(error).toMatchObject({ reason: "rate_limited", status: 429 });
		expect(error.retryAfterSeconds).toBeGreaterThanOrEqual(least);
		expect(error.retryAfterSeconds).toBeLessThanOrEqual(most);
	});

	it("end in a failure that says so when Netlify is down or answers garbage", async () => {
		const site = await startNetlify();
		site.fake.failNext(502);
		expect((await failure(push(site, urls("one")))).reason).toBe("unavailable");
		for (const text of ["<html>", "{}", '[{"key":1}]', "null"]) {
			site.fake.garbleNext(text);
			expect((await failure(push(site, urls("one")))).reason).toBe("unexpected_answer");
		}
		site.fake.garbleNext("[]", { method: "POST" });
		expect((await failure(push(site, urls("one")))).reason).toBe("unexpected_answer");
	});
});
