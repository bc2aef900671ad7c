import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Api, pathOf, readApi } from "../api/operations.ts";
import { startWorld, type World } from "../api/world.ts";
import { metricsToken, scrape } from "../http/scrape.ts";
import { signingSecret } from "../integrations/clerk-server.ts";
import { directUrl } from "../projects/project-databases.ts";
import { createMemoryLog } from "../support/memory-log.ts";
import { until } from "../support/until.ts";
import { connectPlatforms } from "./inbound.ts";

const { log, lines } = createMemoryLog();
const planted = {
	header: "planted-header-value-7f3a",
	databasePassword: "planted-database-word-55d1",
	garbageKey: `capy_live_${"planted0".repeat(4)}`,
	oauthCode: "planted-oauth-code-91be",
	oauthState: "planted-oauth-state-22ac",
	pathToken: "planted-path-token-c0de",
	refusedToken: "planted-refused-token-31f7",
};

let world: World;
let api: Api;
/** Every answer to a request of this file. */
const answers: string[] = [];
/** What was planted, with what the server and the vendors made. */
let secrets: string[];

beforeAll(async () => {
	world = await startWorld(
		{
			METRICS_TOKEN: metricsToken,
			PROJECT_DB_ALLOW_PRIVATE_NETWORKS: "127.0.0.0/8",
			PG_DUMP: "/nowhere/pg_dump",
		},
		{ log },
	);
	api = await readApi(world.server);
	await connectPlatforms(world);
	const endpointSecret = await plantEndpoint();
	await plantDatabaseUrl();
	await plantRefusals();
	const { server, mine, theirs, clerk, vercel, netlify } = world;
	const hooks = [
		...[...vercel.hooks.values()].map(({ url, secret }) => ({ url, secret })),
		...[...netlify.hooks.values()].map(({ data }) => ({
			url: data.url,
			secret: data.signature_secret ?? "",
		})),
	];
	expect(hooks.length).toBeGreaterThan(2);
	const passwords = [await directUrl(server, mine), await directUrl(server, theirs)].map(
		(url) => new URL(url).password,
	);
	secrets = [
		...Object.values(planted),
		...hooks.flatMap(({ url, secret }) => [secret, new URL(url).pathname.split("/").at(-1) ?? ""]),
		...passwords,
		endpointSecret,
		signingSecret,
		metricsToken,
		server.adminToken,
		mine.key,
		theirs.key,
		clerk.secretKey,
		vercel.token,
		netlify.token,
		"never-to-be-stored",
	];
	expect(secrets.filter((secret) => secret.length < 8)).toEqual([]);
});
afterAll(() => world.close());

async function call(...[method, path, options]: Parameters<World["server"]["call"]>) {
	const answer = await world.server.call(method, path, options);
	answers.push(`${answer.text}\n${[...answer.headers].join("\n")}`);
	return answer;
}

/** An endpoint with a secret header that got a delivery; its signing secret. */
async function plantEndpoint(): Promise<string> {
	const { mine, receiver } = world;
	const path = `/v1/organizations/${mine.organizationId}/webhook-endpoints`;
	const made = await world.server.call("POST", path, {
		key: mine.key,
		body: { url: `${receiver.url}/secrets`, secret_headers: { "X-Secret": planted.header } },
	});
	await call("POST", `${path}/${made.body.webhook_endpoint.id}/test`, { key: mine.key });
	await receiver.waitFor((requests) =>
		requests.some(({ headers }) => headers["x-secret"] === planted.header),
	);
	await call("GET", `${path}/${made.body.webhook_endpoint.id}`, { key: mine.key });
	return made.body.plaintext_secret;
}

/** A database of the customer's own that nobody reaches: the job ends with an error. */
async function plantDatabaseUrl(): Promise<void> {
	const { server, mine } = world;
	const made = await call("POST", "/v1/projects", {
		key: mine.key,
		body: { name: "own", database_url: `postgres://me:${planted.databasePassword}@127.0.0.1:1/db` },
	});
	// It is tried again for minutes; the first failure says all that the others say.
	const path = `/v1/jobs/${made.body.job.id}`;
	await until(async () => {
		const { body } = await server.call("GET", path, { key: mine.key });
		return body.job.error !== null || body.job.last_stderr !== null;
	});
	await call("GET", path, { key: mine.key });
}

/** Requests that are refused, with secrets in every part. */
async function plantRefusals(): Promise<void> {
	const { mine } = world;
	const { garbageKey, oauthCode, oauthState, pathToken, refusedToken } = planted;
	const project = `/v1/projects/${mine.projectId}`;
	await call("GET", "/v1/me", { key: garbageKey });
	await call("GET", `/v1/me?key=${garbageKey}`, { key: null, headers: { "x-api-key": garbageKey } });
	await call("GET", "/metrics", { key: garbageKey });
	await call("GET", `/v1/${pathToken}?token=${pathToken}`, { key: mine.key });
	for (const provider of ["vercel", "netlify"]) {
		const hook = `/v1/integrations/${provider}/webhook/${mine.projectId}/${pathToken}`;
		await call("POST", hook, { key: null, rawBody: `{"token":"${refusedToken}"}` });
		const callback = `/v1/integrations/${provider}/oauth/callback?code=${oauthCode}&state=${oauthState}`;
		await call("GET", callback, { key: null });
	}
	const bodies = [
		["vercel", { vercel_project_id: "x", token: refusedToken }],
		["netlify", { site_id: "x", token: refusedToken }],
		["clerk", { secret_key: refusedToken }],
		["clerk", { secret_key: { of: refusedToken } }],
	] as const;
	for (const [provider, body] of bodies) {
		const { status } = await call("POST", `${project}/integrations/${provider}/connect`, {
			key: mine.key,
			body,
		});
		expect(status).toBe(400);
	}
	await call("PUT", `${project}/integrations/auth0`, {
		key: mine.key,
		body: { credentials: { webhook_signing_secret: `${refusedToken} with a space` } },
	});
	await call("POST", "/v1/projects", {
		key: mine.key,
		rawBody: `{"database_url":"${planted.databasePassword}"`,
	});
}

/** Those secrets that the text holds: as they are, in hex or in base64. */
function foundIn(text: string): string[] {
	return secrets.filter((secret) => {
		const bytes = Buffer.from(secret);
		const encoded = bytes.toString("base64").replace(/=+$/, "").slice(0, -1);
		return [secret, bytes.toString("hex"), encoded, encodeURIComponent(secret)].some((each) =>
			text.includes(each),
		);
	});
}

describe("a secret", () => {
	it("is in no line of the log, and no e-mail address either", () => {
		expect(lines.length).toBeGreaterThan(50);
		expect(foundIn(lines.join("\n"))).toEqual([]);
		expect(lines.filter((line) => line.includes("@example.com"))).toEqual([]);
	});

	it("is in no answer: neither where it was refused nor in anything that can be read", async () => {
		const readable = api.operations.filter(({ method, id }) => method === "GET" && !/Connections$/.test(id));
		for (const { ids, key } of [world.mine, world.theirs]) {
			for (const operation of readable) await call("GET", pathOf(operation, ids), { key });
			for (const provider of ["vercel", "netlify", "auth0", "better-auth"]) {
				await call("GET", `/v1/projects/${ids.projectID}/integrations/${provider}/events`, { key });
			}
		}
		expect(answers.length).toBeGreaterThan(readable.length * 2);
		expect(foundIn(answers.join("\n"))).toEqual([]);
	});

	it("is in no row of any table: what is kept is sealed or hashed", async () => {
		const tables = await world.server.sql<{ name: string }>(
			`select format('%I.%I', schemaname, tablename) as name from pg_tables
			where schemaname not in ('pg_catalog', 'information_schema')`,
		);
		let rowCount = 0;
		let isSearched = false;
		for (const { name } of tables) {
			const rows = await world.server.sql<{ text: string }>(
				`select to_jsonb(t)::text as text from ${name} t`,
			);
			rowCount += rows.length;
			isSearched ||= rows.some(({ text }) => text.includes(`${world.receiver.url}/secrets`));
			expect([name, foundIn(rows.map(({ text }) => text).join("\n"))]).toEqual([name, []]);
		}
		expect([isSearched, rowCount > 100]).toEqual([true, true]);
	});

	it("is in no metric", async () => {
		const { text } = await scrape(world.server);
		expect(text.length).toBeGreaterThan(1_000);
		expect(foundIn(text)).toEqual([]);
	});
});
