import { describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { deleteDuePreviews } from "../../src/previews/delete-due-previews.ts";
import { auditActions, ended } from "../projects/project-databases.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { ask, made, standing } from "./preview-server.ts";

const hourMs = 3_600_000;

async function isGone(server: TestServer, path: string): Promise<boolean> {
	return (await server.call("GET", path)).status === 404;
}

describe("the time that a preview database has to live", () => {
	it("is over after ttl_hours: the sweep removes it, and says so once however many replicas sweep", async () => {
		const server = await startTestServer();
		const replica = await startTestServer({ databaseUrl: server.databaseUrl, env: { ROLE: "api" } });
		const tenant = await server.tenant();
		const short = await made(server, tenant, { ttl_hours: 1 });
		const long = await made(server, tenant, { ttl_hours: 168 });
		await server.advance(hourMs - 30_000);
		await deleteDuePreviews(server.ctx);
		expect((await server.call("GET", short.path)).body.preview.state).toBe("ready");
		await server.advance(60_000);
		await Promise.all([server, replica, server, replica].map(({ ctx }) => deleteDuePreviews(ctx)));
		await until(() => isGone(server, short.path));
		expect(await standing(short.id)).toEqual([]);
		expect((await server.call("GET", long.path)).body.preview.state).toBe("ready");
		const events = await server.sql<{ payload: string }>(
			"select payload from events where type = 'preview.deleted'",
		);
		expect(events).toHaveLength(1);
		expect(JSON.parse(events[0]?.payload ?? "").data).toMatchObject({
			preview: { id: short.id },
			reason: "expired",
		});
		const actions = await auditActions(server, tenant);
		expect(actions.filter((action) => action === "preview.deleted")).toHaveLength(1);
	});

	it("is looked after by a task of the queue", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const { path } = await made(server, tenant, { ttl_hours: 1 });
		await server.advance(hourMs + 1);
		await server.ctx.tasks.send("previews.delete_due", {});
		await until(() => isGone(server, path));
	});

	it("ends for all others when the removal of one cannot be queued, and the sweep counts as failed", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const stuck = await made(server, tenant, { ttl_hours: 1 });
		const other = await made(server, tenant, { ttl_hours: 1 });
		await server.sql(`create function refuse() returns trigger language plpgsql as
			'begin if new.state = ''deleting'' and new.id = ''${toUuid(stuck.id as `pvw_${string}`)}'' then
				raise ''refused''; end if; return new; end'`);
		await server.sql(`create trigger refuse before update on preview_databases for each row
			execute function refuse()`);
		await server.advance(hourMs + 1);
		await expect(deleteDuePreviews(server.ctx)).rejects.toThrow(/^1 of [12] failed/);
		await until(() => isGone(server, other.path));
		expect((await server.call("GET", stuck.path)).body.preview.state).toBe("ready");
	});

	it("counts from now when it is extended, also to less than before", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const { path, preview } = await made(server, tenant, { ttl_hours: 100 });
		await server.advance(hourMs);
		const { status, body } = await server.call("POST", `${path}/extend`, { body: { ttl_hours: 2 } });
		expect(status).toBe(200);
		const sinceCreationMs = Date.parse(body.preview.ttl_expires_at) - Date.parse(preview.created_at);
		expect(sinceCreationMs).toBeGreaterThan(3 * hourMs);
		expect(sinceCreationMs).toBeLessThan(3 * hourMs + 60_000);
		expect(await auditActions(server, tenant)).toContain("preview.ttl_extended");
		await server.advance(1.5 * hourMs);
		await deleteDuePreviews(server.ctx);
		expect((await server.call("GET", path)).body.preview.state).toBe("ready");
	});

	it("is a whole number of hours from 1 to 168", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const { path } = await made(server, tenant);
		for (const ttlHours of [0, 169, 1.5, "2", null]) {
			const body = { ttl_hours: ttlHours };
			const extended = await server.call("POST", `${path}/extend`, { key: tenant.key, body });
			for (const refused of [await ask(server, tenant, body), extended]) {
				expect(refused.status, String(ttlHours)).toBe(400);
				expect(refused.body.error).toContain("`ttl_hours`");
			}
		}
	});

	it("ends with the removal tried again an hour after one that failed", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const { id, path } = await made(server, tenant);
		await server.sql("update preview_databases set state = 'deleting', updated_at = clock_now()");
		await deleteDuePreviews(server.ctx);
		expect(await standing(id)).toEqual(["database", "role"]);
		await server.advance(hourMs);
		await deleteDuePreviews(server.ctx);
		await until(() => isGone(server, path));
		expect(await standing(id)).toEqual([]);
	});

	it("ends what another job is just building, too", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const { id, path } = await made(server, tenant, { ttl_hours: 1 });
		const reset = await server.call("POST", `${path}/reset`, { key: tenant.key });
		await server.advance(hourMs + 1);
		await deleteDuePreviews(server.ctx);
		await ended(server, reset, tenant.key);
		await until(() => isGone(server, path));
		expect(await standing(id)).toEqual([]);
	});
});
