import { expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/server.ts";

const dashboard = "https://dashboard.example.com";

function preflight(server: TestServer, path: string, origin: string) {
	return server.call("OPTIONS", path, {
		key: null,
		headers: {
			origin,
			"access-control-request-method": "PATCH",
			"access-control-request-headers": "authorization,content-type",
		},
	});
}

function corsHeaders(headers: Headers): string[] {
	return [...headers.keys()].filter((name) => name.startsWith("access-control-"));
}

it("pages of the dashboard's origin may call every route, with a key and with a body", async () => {
	const server = await startTestServer({ env: { DASHBOARD_URL: `${dashboard}/projects` } });
	for (const path of ["/v1/projects/x", "/v1/me", "/healthz", "/no-such-route"]) {
		const { status, headers, text } = await preflight(server, path, dashboard);
		expect([path, status, text]).toEqual([path, 204, ""]);
		expect(headers.get("access-control-allow-origin")).toBe(dashboard);
		expect(headers.get("access-control-allow-methods")?.split(", ")).toContain("PATCH");
		const allowed = headers.get("access-control-allow-headers")?.split(", ");
		expect(allowed).toEqual(expect.arrayContaining(["authorization", "content-type", "x-api-key"]));
		expect(headers.get("vary")).toBe("origin");
	}
});

it("a page reads answers and refusals alike, and when it may come back", async () => {
	const server = await startTestServer({ env: { CORS_ORIGINS: `https://other.example.com, ${dashboard}` } });
	const own = await server.call("GET", "/v1/me", { headers: { origin: dashboard } });
	const refused = await server.call("GET", "/v1/me", { key: null, headers: { origin: dashboard } });
	const missing = await server.call("GET", "/v1/nothing", { headers: { origin: dashboard } });
	expect([own.status, refused.status, missing.status]).toEqual([200, 401, 404]);
	for (const { headers } of [own, refused, missing]) {
		expect(headers.get("access-control-allow-origin")).toBe(dashboard);
		expect(headers.get("access-control-allow-credentials")).toBe("true");
		expect(headers.get("access-control-expose-headers")).toContain("retry-after");
	}
});

it("pages of any other origin read nothing, also when they look alike", async () => {
	const server = await startTestServer({ env: { CORS_ORIGINS: dashboard } });
	const others = [
		"https://dashboard.example.com.evil.test",
		"http://dashboard.example.com",
		"https://dashboard.example.com:8443",
		"https://DASHBOARD.example.com",
		"null",
	];
	for (const origin of others) {
		const refused = await preflight(server, "/v1/me", origin);
		expect([origin, refused.status, corsHeaders(refused.headers)]).toEqual([origin, 405, []]);
		const { status, headers } = await server.call("GET", "/v1/me", { headers: { origin } });
		expect([origin, status, corsHeaders(headers)]).toEqual([origin, 200, []]);
		expect(headers.get("vary")).toBe("origin");
	}
});

it("without CORS_ORIGINS and DASHBOARD_URL no page of another origin may call", async () => {
	const server = await startTestServer();
	const refused = await preflight(server, "/v1/me", dashboard);
	expect([refused.status, corsHeaders(refused.headers)]).toEqual([405, []]);
});
