import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ProjectId } from "../../src/core/ids.ts";
import { ensurePreview } from "../../src/previews/ensure-preview.ts";
import { previewConnections } from "../../src/previews/read-preview-connections.ts";
import { asCustomer, auditActions, ended } from "../projects/project-databases.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { ask, made } from "./preview-server.ts";

const hourMs = 3_600_000;

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { PREVIEWS_MAX: "3" } });
});
afterAll(() => server.close());

function ensure(tenant: Tenant, name: string, ttlHours = 72) {
	const projectId = tenant.projectId as ProjectId;
	return server.ctx.transaction((tx) => ensurePreview(tx, { projectId, name, mode: "empty", ttlHours }));
}

async function read(tenant: Tenant, id: string) {
	return (await server.call("GET", `/v1/preview-databases/${id}`, { key: tenant.key })).body.preview;
}

describe("ensuring that a preview database exists", () => {
	it("makes it once, however many ask at the same time, with URLs that work when it is ready", async () => {
		const tenant = await server.tenant();
		const all = await Promise.all(Array.from({ length: 20 }, (_, at) => ensure(tenant, `branch-${at % 2}`)));
		const ids = new Set(all.map(({ preview }) => preview.id));
		expect(ids.size).toBe(2);
		expect(all.filter(({ job }) => job !== null)).toHaveLength(2);
		for (const id of ids) await until(async () => (await read(tenant, id)).state === "ready");
		const { preview } = await ensure(tenant, "branch-0");
		const { directUrl } = previewConnections(server.ctx, preview);
		expect(await asCustomer(directUrl, "select current_user::text as me")).toEqual([{ me: preview.id }]);
		const actions = await auditActions(server, tenant);
		expect(actions.filter((action) => action === "preview.created")).toHaveLength(2);
	});

	it("refreshes the time that one has to live, and never shortens it", async () => {
		const tenant = await server.tenant();
		const { preview } = await ensure(tenant, "branch", 10);
		const refreshed = await ensure(tenant, "branch", 20);
		expect(refreshed.preview.id).toBe(preview.id);
		const grownMs = refreshed.preview.ttlExpiresAt.getTime() - preview.ttlExpiresAt.getTime();
		expect(grownMs).toBeGreaterThanOrEqual(10 * hourMs);
		const again = await ensure(tenant, "branch", 1);
		expect(again.preview.ttlExpiresAt).toEqual(refreshed.preview.ttlExpiresAt);
	});

	it("builds one again that had failed", async () => {
		const tenant = await server.tenant();
		const { id } = await made(server, tenant, { name: "branch" });
		await server.sql("update preview_databases set state = 'failed' where name = 'branch'");
		const { preview, job } = await ensure(tenant, "branch");
		expect(preview).toMatchObject({ id, state: "provisioning", lastError: null });
		expect(job).toMatchObject({ type: "branch.reset" });
		await until(async () => (await read(tenant, id)).state === "ready");
	});

	it("makes a new one while one of that name is on its way out", async () => {
		const tenant = await server.tenant();
		const { id, path } = await made(server, tenant, { name: "branch" });
		const gone = await server.call("DELETE", path, { key: tenant.key });
		const { preview } = await ensure(tenant, "branch");
		expect(preview.id).not.toBe(id);
		await ended(server, gone, tenant.key);
		await until(async () => (await read(tenant, preview.id)).state === "ready");
	});

	it("is refused at the limit, but not for one that is there", async () => {
		const tenant = await server.tenant();
		for (const name of ["a", "b", "c"]) await ensure(tenant, name);
		await expect(ensure(tenant, "d")).rejects.toMatchObject({ code: "preview.limit_reached" });
		expect((await ensure(tenant, "a")).job).toBeNull();
		const { status, body } = await ask(server, tenant, { name: "d" });
		expect([status, body.code]).toEqual([409, "preview.limit_reached"]);
		expect(body.error).toContain("3");
	});
});
