import { describe, expect, it } from "vitest";
import { signingSecret } from "../integrations/clerk-server.ts";
import { type Answer, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

function me(server: TestServer, key: string | null, address = "192.0.2.1") {
	return server.call("GET", "/v1/me", { key, headers: { "x-forwarded-for": address } });
}

async function addKey(server: TestServer): Promise<string> {
	const { body: made } = await server.call("POST", "/v1/organizations", { body: { name: "limits" } });
	const { body } = await server.call("POST", `/v1/organizations/${made.organization.id}/api-keys`, {
		body: { name: "k", scopes: ["*"] },
	});
	return body.plaintext_api_key;
}

function startLimited(perSecond: number, databaseUrl?: string): Promise<TestServer> {
	const env = { RATE_LIMIT_PER_SECOND: String(perSecond), TRUST_PROXY: "true" };
	return startTestServer({ env, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
}

describe("the rate limit", () => {
	it("lets a burst of four seconds' worth through, then answers 429 and says when to come back", async () => {
		const server = await startLimited(1);
		const [key, other] = [await addKey(server), await addKey(server)];
		const answers = await Promise.all(Array.from({ length: 5 }, () => me(server, key)));
		const shown = answers.map(({ status, headers }) =>
			[status, headers.get("ratelimit-limit"), headers.get("ratelimit-remaining")].join(" "),
		);
		expect(shown.toSorted()).toEqual(["200 4 0", "200 4 1", "200 4 2", "200 4 3", "429 4 0"]);
		const refused = answers.find(({ status }) => status === 429) as Answer;
		expect([refused.status, refused.body]).toEqual([
			429,
			{ error: expect.any(String), code: "rate_limit.exceeded", request_id: expect.any(String) },
		]);
		expect(refused.headers.get("retry-after")).toBe("1");
		expect(Number(refused.headers.get("ratelimit-reset"))).toBeGreaterThan(0);
		expect((await me(server, other)).status).toBe(200);
		await until(async () => (await me(server, key)).status === 200, { everyMs: 200 });
	});

	it("counts by credential: another address does not help", async () => {
		const server = await startLimited(1);
		const key = await addKey(server);
		const answers = await Promise.all([1, 2, 3, 4, 5].map((at) => me(server, key, `192.0.2.${at}`)));
		expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 200, 429]);
	});
});

describe("failed authentications", () => {
	it("are limited by address, and known callers behind the same address are not held up", async () => {
		const server = await startLimited(10_000);
		const key = await addKey(server);
		const answers = await Promise.all(
			Array.from({ length: 400 }, (_, at) => me(server, at % 2 === 0 ? null : `capy_live_${at}`)),
		);
		const count = (status: number) => answers.filter((answer) => answer.status === status).length;
		expect(count(401)).toBeGreaterThanOrEqual(300);
		expect(count(429)).toBeGreaterThan(20);
		expect(count(401) + count(429)).toBe(400);
		const refused = answers.find(({ status }) => status === 429);
		expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
		expect((await me(server, key)).status).toBe(200);
		expect((await me(server, null, "192.0.2.99")).status).toBe(401);
	});

	it("are counted by the socket's address unless the proxy in front is trusted", async () => {
		const server = await startTestServer();
		const statuses = await Promise.all(
			Array.from({ length: 400 }, async (_, at) => (await me(server, null, `192.0.2.${at % 250}`)).status),
		);
		expect(new Set(statuses)).toEqual(new Set([401, 429]));
	});
});

describe("inbound routes", () => {
	it("never answer 429, however many posts come", async () => {
		const unlimited = await startTestServer();
		const { key, projectId } = await unlimited.tenant();
		const put = await unlimited.call("PUT", `/v1/projects/${projectId}/integrations/clerk`, {
			key,
			body: { credentials: { webhook_signing_secret: signingSecret } },
		});
		expect(put.status).toBe(200);
		const server = await startLimited(1, unlimited.databaseUrl);
		const projects = [projectId, "prj_01h455vb4pex5vsknk084sn02q"];
		const answers = await Promise.all(
			Array.from({ length: 100 }, (_, at) =>
				server.call("POST", `/v1/integrations/clerk/webhook/${projects[at % 2]}`, {
					key: null,
					rawBody: "{}",
				}),
			),
		);
		const count = (status: number) => answers.filter((answer) => answer.status === status).length;
		expect([count(401), count(404)]).toEqual([50, 50]);
		expect(answers.filter(({ headers }) => headers.has("ratelimit-limit"))).toEqual([]);
	});
});
