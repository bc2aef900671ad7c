import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeAuth0, startFakeAuth0 } from "../fakes/auth0.ts";
import { auth0Samples } from "../fixtures/auth0/samples.ts";
import { auth0User } from "../fixtures/auth0/webhooks.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { connect, post, startServerBeside } from "./auth0-server.ts";
import { projectSql } from "./clerk-server.ts";

let auth0: FakeAuth0;
let server: TestServer;
beforeAll(async () => {
	// What a log entry's user is by the time that it is fetched.
	const fetched = auth0User({ email: "fetched@example.com", updated_at: "2026-02-06T11:00:00.000Z" });
	auth0 = await startFakeAuth0({ users: [fetched] });
	server = await startServerBeside(auth0, { keep: true });
});
afterAll(async () => {
	await server.close();
	await auth0.close();
});

describe("a delivery of Auth0", () => {
	it.each(Object.entries(auth0Samples))("%s: what becomes of its user's row", async (_, sample) => {
		const started = { server, auth0, tenant: await server.tenant() };
		const secret = await connect(started, { credentials: auth0.credentials });
		const before = {
			user_id: auth0User().user_id,
			given_name: "Before",
			updated_at: "2026-01-01T00:00:00.000Z",
		};
		for (const each of [{ event: "user.created", user: before }, sample]) {
			const { status, body } = await post(started, `Bearer ${secret}`, each);
			expect([status, body]).toEqual([200, { received: true }]);
		}
		const events = await until(async () => {
			const path = `/v1/projects/${started.tenant.projectId}/integrations/auth0/events`;
			const { body } = await server.call("GET", path, { key: started.tenant.key });
			const found: { type: string; state: string }[] = body.events;
			return found.length > 1 && found.every(({ state }) => state !== "received") ? found : null;
		});
		const rows = await projectSql(server, started.tenant, "select * from capydb_auth.users");
		expect({ rows, events: events.map(({ type, state }) => `${type} ${state}`) }).toMatchSnapshot();
	});
});
