import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import extractDepcruiseOptions from "dependency-cruiser/config-utl/extract-depcruise-options";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
/** A cruise that could not read the sources would find nothing wrong with them. */
const modulesSeenMin = 200;

/** What is wrong, each by a file that does it, next to its words for the file. */
const wrongs: [file: string, source: string, rule: string][] = [
	["src/jobs/routes.ts", 'import { jobStore } from "./store.ts"; jobStore();', "routes-reach-operations"],
	["src/workers.ts", 'import { jobStore } from "./jobs/store.ts"; jobStore();', "routes-reach-operations"],
	[
		"src/jobs/list-jobs.ts",
		'import type { Job } from "./wire.ts"; export type J = Job;',
		"operations-know-no-http",
	],
	[
		"src/jobs/store.ts",
		'import "../http/access.ts"; export const jobStore = () => 1;',
		"operations-know-no-http",
	],
	["src/jobs/get-job.ts", 'import { jobs } from "./table.ts"; jobs();', "tables-belong-to-stores"],
	[
		"src/jobs/run-job.ts",
		'import { jobStore } from "./store.ts"; jobStore();',
		"stores-come-with-the-context",
	],
	["src/jobs/wire.ts", 'import "./routes.ts"; export type Job = string;', "wire-knows-no-routes"],
	[
		"src/jobs/table.ts",
		'import "../config.ts"; export const jobs = () => 1;',
		"stores-and-tables-stay-below",
	],
	["src/jobs/sign.ts", 'import { eq } from "drizzle-orm"; eq();', "home-of-drizzle-orm"],
	["src/jobs/pad.ts", 'import pad from "left-pad"; pad();', "package-without-a-home"],
	["src/jobs/lost.ts", 'import "./nowhere.ts";', "unresolvable"],
	["src/jobs/tested.ts", 'import "../../test/fake.ts";', "src-knows-no-test"],
	[
		"src/jobs/start.ts",
		'import { openDatabase } from "../platform/db.ts"; openDatabase();',
		"only-the-process-builds-the-outside",
	],
	[
		"src/jobs/know.ts",
		'import { all } from "../providers/all.ts"; all();',
		"only-the-process-makes-providers",
	],
	[
		"src/jobs/name.ts",
		'import { clerk } from "../providers/clerk/index.ts"; clerk();',
		"only-all-names-a-provider",
	],
	[
		"src/jobs/make.ts",
		'import { createContext } from "../context.ts"; createContext();',
		"the-context-is-a-type",
	],
	[
		"src/jobs/app-user.ts",
		'import type { Api } from "../app.ts"; export type A = Api;',
		"the-app-is-named-by-routes",
	],
	["src/jobs/process.ts", 'import "../server.ts";', "features-know-no-process"],
	[
		"src/jobs/spend.ts",
		'import type { P } from "../projects/project.ts"; export type J = P;',
		"calls-of-jobs",
	],
	["src/novelty/first.ts", 'import "../core/ids.ts";', "folder-without-a-line"],
	[
		"src/core/high.ts",
		'import type { P } from "../projects/project.ts"; export type C = P;',
		"core-imports-nothing-of-ours",
	],
	[
		"src/platform/db.ts",
		'import "../jobs/pad.ts"; export const openDatabase = () => 1;',
		"platform-knows-core",
	],
	["src/http/access.ts", 'import "../jobs/pad.ts";', "http-knows-no-feature"],
	[
		"src/providers/all.ts",
		'import "../jobs/pad.ts"; import "./clerk/client.ts"; export const all = () => 1;',
		"providers-know-core",
	],
	[
		"src/providers/clerk/index.ts",
		'import "../auth0/index.ts"; export const clerk = () => 1;',
		"one-provider-knows-no-other",
	],
	[
		"src/providers/better-auth/plugin/index.ts",
		'import "../../errors.ts"; export const plugin = 1;',
		"the-plugin-stands-alone",
	],
	[
		"src/providers/better-auth/index.ts",
		'import { plugin } from "./plugin/index.ts"; plugin;',
		"the-server-runs-without-the-plugin",
	],
	["src/core/clock.ts", 'import "./ids.ts";', "no-cycle"],
	[
		"src/projects/project.ts",
		'import type { C } from "../context.ts"; import type { S } from "./slug.ts"; export type P = S | C;',
		"no-cycle-of-types",
	],
	["src/core/alone.ts", "export const alone = 1;", "no-orphan"],
];

/** What the wrong files lean on, and what is right: named by no rule. */
const rest: Record<string, string> = {
	"src/app.ts": "export type Api = number;",
	"src/config.ts": "export const config = 1;",
	"src/context.ts":
		'import { rightStore } from "./organizations/store.ts"; import type { P } from "./projects/project.ts"; export type C = P; export const createContext = () => rightStore;',
	"src/server.ts": 'import { createContext } from "./context.ts"; import "./workers.ts"; createContext();',
	"src/core/ids.ts": 'import "./clock.ts";',
	"src/projects/slug.ts":
		'import type { C } from "../context.ts"; import type { P } from "./project.ts"; export type S = P | C;',
	"src/providers/auth0/index.ts": 'import "../errors.ts";',
	"src/providers/clerk/client.ts": 'import "../errors.ts";',
	"src/providers/errors.ts": "export const errors = 1;",
	"src/organizations/get.ts":
		'import type { createContext } from "../context.ts"; export type G = typeof createContext;',
	"src/organizations/routes.ts":
		'import type { Api } from "../app.ts"; import type { G } from "./get.ts"; export type R = Api | G;',
	"src/organizations/store.ts": 'import { eq } from "drizzle-orm"; export const rightStore = () => eq;',
	"test/fake.ts": "export const fake = 1;",
	"node_modules/drizzle-orm/package.json": '{ "name": "drizzle-orm", "main": "index.js" }',
	"node_modules/drizzle-orm/index.js": "module.exports = { eq() {} };",
	"node_modules/left-pad/package.json": '{ "name": "left-pad", "main": "index.js" }',
	"node_modules/left-pad/index.js": "module.exports = () => 1;",
	"package.json": '{ "dependencies": { "drizzle-orm": "1", "left-pad": "1" } }',
};

describe("the arrows of the house", () => {
	it("hold in src", async () => {
		const { summary, modules } = await look(root);
		expect(modules.filter(({ source }) => source.startsWith("src/")).length).toBeGreaterThan(modulesSeenMin);
		const broken = summary.violations.filter(({ rule }) => rule.severity === "error");
		expect(broken.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
	});

	it("refuse each wrong import, and no right one", async () => {
		const folder = await realpath(await mkdtemp(join(tmpdir(), "capydb-arrows-")));
		try {
			const planted = { ...rest, ...Object.fromEntries(wrongs.map(([file, source]) => [file, source])) };
			for (const [file, source] of Object.entries(planted)) await write(join(folder, file), source);
			const { violations } = (await look(folder)).summary;
			const refused = new Set(violations.map(({ rule, from }) => `${from} ${rule.name}`));
			expect(
				wrongs.map(([file, , rule]) => `${file} ${rule}`).filter((wrong) => !refused.has(wrong)),
			).toEqual([]);
			expect(violations.filter(({ from }) => from.startsWith("src/organizations/"))).toEqual([]);
		} finally {
			await rm(folder, { recursive: true });
		}
	});

	it("have a refused import for every rule", async () => {
		const { forbidden = [] } = (await options()).ruleSet ?? {};
		const planted = new Set(wrongs.map(([, , rule]) => rule));
		// One of each family stands for the others, which differ in a name.
		const apart = /^(home-of-|calls-of-|all-takes-a-provider-by-its-index$)/;
		const names = forbidden.map(({ name = "" }) => name).filter((name) => !apart.test(name));
		expect(names.filter((name) => !planted.has(name))).toEqual([]);
	});

	it("allow no feature a call that it does not make", async () => {
		const { modules } = await look(root);
		const made = new Set(
			modules.flatMap(({ source, dependencies }) =>
				dependencies.map(({ resolved }) => `${folderOf(source)} → ${folderOf(resolved)}`),
			),
		);
		const { forbidden = [] } = (await options()).ruleSet ?? {};
		const allowed = forbidden.flatMap((rule) => {
			const caller = /^calls-of-(.+)$/.exec(rule.name ?? "")?.[1];
			const called =
				/\((.+)\)/
					.exec("to" in rule && "pathNot" in rule.to ? String(rule.to.pathNot) : "")?.[1]
					?.split("|") ?? [];
			return caller ? called.filter((each) => each !== caller).map((each) => `${caller} → ${each}`) : [];
		});
		expect(allowed.filter((call) => !made.has(call))).toEqual([]);
	});
});

function options() {
	return extractDepcruiseOptions(join(root, ".dependency-cruiser.cjs"));
}

async function look(baseDir: string): Promise<ICruiseResult> {
	const { output } = await cruise(["src"], { ...(await options()), baseDir });
	if (typeof output === "string") throw new Error("The cruise answered text.");
	return output;
}

async function write(path: string, source: string): Promise<void> {
	await mkdir(dirname(path), { recursive: true });
	await writeFile(path, `${source}\n`);
}

function folderOf(path: string): string {
	return path.split("/")[1] ?? "";
}
