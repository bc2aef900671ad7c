import { describe, expect, it } from "vitest";
import {
	type ClerkServer,
	connect,
	endedJob,
	newUser,
	projectSql,
	send,
	settledInbound,
	startClerkServer,
} from "./clerk-server.ts";

function startSync({ server, tenant }: ClerkServer) {
	const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
	return server.call("POST", path, { key: tenant.key });
}

async function sync(started: ClerkServer) {
	const { body } = await startSync(started);
	return endedJob(started.server, started.tenant, body.job.id);
}

async function deletedIds({ server, tenant }: ClerkServer): Promise<unknown[]> {
	const text = "select id from capydb_auth.users where deleted_at is not null order by id";
	return (await projectSql(server, tenant, text)).map(({ id }) => id);
}

describe("a complete backfill", () => {
	it("soft-deletes whom Clerk no longer has, and nobody else", async () => {
		const started = await startClerkServer(9);
		const { server, clerk, tenant } = started;
		await connect(started);
		await projectSql(server, tenant, "insert into capydb_auth.users (id) values ('of_the_customer')");
		clerk.deleteUser("user_0000003");
		clerk.deleteUser("user_0000008");
		const job = await sync(started);
		expect(job.last_stdout).toContain("backfilled 7 users\nsoft-deleted 2 users that Clerk no longer has");
		expect(await deletedIds(started)).toEqual(["user_0000003", "user_0000008"]);
		expect((await sync(started)).last_stdout).not.toContain("soft-deleted");
	});

	it("leaves whom a webhook touched since it began", async () => {
		const started = await startClerkServer(600);
		const { clerk, server } = started;
		await connect(started);
		const absent = clerk.users.get("user_0000001") as { id: string; updated_at: number };
		clerk.deleteUser(absent.id);
		const held = clerk.holdPage(2);
		const { body } = await startSync(started);
		await held.reached;
		const fresh = newUser();
		await send(started, "user.created", fresh);
		await send(started, "user.updated", { ...absent, updated_at: absent.updated_at + 1 });
		await settledInbound(server, 2);
		held.release();
		await endedJob(server, started.tenant, body.job.id);
		expect(await deletedIds(started)).toEqual([]);
	});

	it("takes its conclusion back when Clerk shows the user again, and not for an old event", async () => {
		const started = await startClerkServer(3);
		const { clerk, server } = started;
		await connect(started);
		const user = clerk.users.get("user_0000001");
		if (!user) throw new Error("The fake has no such user.");
		clerk.deleteUser(user.id);
		await sync(started);
		await send(started, "user.updated", user);
		await settledInbound(server, 1);
		expect(await deletedIds(started)).toEqual([user.id]);
		clerk.users.set(user.id, user);
		await sync(started);
		expect(await deletedIds(started)).toEqual([]);
	});
});

describe("tables that the customer altered", () => {
	it("get a dropped column back, with the values of all users", async () => {
		const started = await startClerkServer(4);
		const { server, tenant } = started;
		await connect(started);
		await projectSql(server, tenant, "alter table capydb_auth.users add column plan text, drop column raw");
		await send(started, "user.created", newUser());
		expect(await settledInbound(server, 1)).toMatchObject([{ state: "processed" }]);
		const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}/jobs`, { key: tenant.key });
		await endedJob(server, tenant, body.jobs[0].id);
		const rows = await projectSql(server, tenant, "select 1 from capydb_auth.users where raw is not null");
		expect(rows).toHaveLength(5);
	});
});
