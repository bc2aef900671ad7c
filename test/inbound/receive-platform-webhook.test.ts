import { describe, expect, it } from "vitest";
import { type Connected, deployments, idle, startConnected } from "../deployments/vercel-server.ts";
import { until } from "../support/until.ts";

const dayMs = 24 * 3_600_000;

function post(
	{ server, hookPath }: Connected,
	signed: { headers: Record<string, string>; body: string },
	path = hookPath,
) {
	return server.call("POST", path, { key: null, rawBody: signed.body, headers: signed.headers });
}

describe("POST /v1/integrations/vercel/webhook/{projectID}/{token}", () => {
	it("answers each fault with the status that Vercel acts on rightly, and counts it", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project, hookPath, secret } = connected;
		const { event } = fake.deploy(project, { branch: "checkout" });
		const signed = fake.signedDelivery(secret, event);
		const unknown = hookPath.replace(/prj_[^/]+/, "prj_01jd0000000000000000000000");
		expect((await post(connected, signed, unknown)).status).toBe(404);
		expect((await post(connected, signed, `${hookPath}x`)).status).toBe(404);
		const wrong = fake.signedDelivery("another secret", event);
		expect((await post(connected, wrong)).status).toBe(401);
		expect((await post(connected, { ...signed, headers: {} })).status).toBe(401);
		expect((await post(connected, fake.signedDelivery(secret, { nothing: true }))).status).toBe(400);
		expect(await server.sql("select 1 from inbound_webhooks")).toEqual([]);
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel/events`;
		await until(async () => {
			const { body } = await server.call("GET", path, { key: tenant.key });
			return body.rejections.total === 4;
		});
	});

	it("takes one event once, whatever id its retry carries, and leaves one older than seven days without effect", async () => {
		const connected = await startConnected();
		const { server, fake, project, secret } = connected;
		const { event } = fake.deploy(project, { branch: null });
		const again = fake.signedDelivery(secret, { ...event, id: "another-id-of-the-retry" });
		const both = await Promise.all([
			post(connected, fake.signedDelivery(secret, event)),
			post(connected, again),
		]);
		expect(both.map(({ status }) => status)).toEqual([200, 200]);
		const old = { ...fake.deploy(project, { branch: null }).event, createdAt: Date.now() - 8 * dayMs };
		expect((await post(connected, fake.signedDelivery(secret, old))).status).toBe(200);
		await idle(connected);
		const rows = await server.sql<{ state: string }>("select state from inbound_webhooks order by id");
		expect(rows.map(({ state }) => state).toSorted()).toEqual(["processed", "stale"]);
		expect(await deployments(connected)).toHaveLength(1);
	});

	it("answers 200 and does nothing while the integration is disabled, and 404 once it is gone", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project, secret } = connected;
		const signed = fake.signedDelivery(secret, fake.deploy(project, { branch: null }).event);
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel`;
		await server.call("PUT", path, { key: tenant.key, body: { state: "disabled" } });
		expect(await post(connected, signed)).toMatchObject({ status: 200, body: { received: true } });
		expect(await server.sql("select 1 from inbound_webhooks")).toEqual([]);
		await server.call("DELETE", path, { key: tenant.key });
		expect((await post(connected, signed)).status).toBe(404);
	});
});
