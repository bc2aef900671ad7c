import { describe, expect, it } from "vitest";
import {
	connect,
	endedJob,
	getIntegration,
	newUser,
	projectSql,
	send,
	settledInbound,
	startClerkServer,
	userEvents,
} from "../integrations/clerk-server.ts";
import { quietTrigger } from "../support/triggers.ts";
import { until } from "../support/until.ts";

const base = 1_760_000_000_000;

describe("the order of a user's changes", () => {
	it("lets no older update overwrite a newer row, and does not announce it", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const user = newUser({ first_name: "Newer", updated_at: base + 2_000 });
		await send(started, "user.updated", user);
		await settledInbound(server, 1);
		await send(started, "user.updated", { ...user, first_name: "Older", updated_at: base + 1_000 });
		await send(started, "user.created", { ...user, first_name: "Oldest", updated_at: base });
		const rows = await settledInbound(server, 3);
		expect(rows.map((row) => row.state)).toEqual(["processed", "ignored", "ignored"]);
		expect(await projectSql(server, tenant, "select first_name from capydb_auth.users")).toEqual([
			{ first_name: "Newer" },
		]);
		// There was no row before, so the first that is heard of the user is its creation.
		expect((await userEvents(server, tenant)).map((event) => event.type)).toEqual(["user.created"]);
	});

	it("keeps a deleted user deleted whatever arrives later, and keeps what is known of it", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const user = newUser({ updated_at: Date.now() - 1_000 });
		await send(started, "user.created", user);
		await settledInbound(server, 1);
		await send(started, "user.deleted", { id: user.id, object: "user", deleted: true });
		await settledInbound(server, 2);
		await send(started, "user.updated", { ...user, updated_at: Date.now() + 60_000 });
		const rows = await settledInbound(server, 3);
		expect(rows.map((row) => row.state)).toEqual(["processed", "processed", "ignored"]);
		const [row] = await projectSql(server, tenant, "select email, deleted_at from capydb_auth.users");
		expect(row).toEqual({ email: `${user.id}@example.com`, deleted_at: expect.any(Date) });
		const events = await userEvents(server, tenant);
		expect(events.map((event) => event.type)).toEqual(["user.created", "user.deleted"]);
		expect(events[1].data.user).toMatchObject({ id: user.id, email: `${user.id}@example.com` });
		expect(events[1].data.user.deleted_at).toMatch(/Z$/);
	});

	it("leaves a tombstone for a deletion that comes before the creation", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const user = newUser();
		await send(started, "user.deleted", { id: user.id, object: "user", deleted: true });
		await settledInbound(server, 1);
		await send(started, "user.created", user);
		await settledInbound(server, 2);
		const [row] = await projectSql(server, tenant, "select id, email, deleted_at from capydb_auth.users");
		expect(row).toEqual({ id: user.id, email: null, deleted_at: expect.any(Date) });
		expect((await userEvents(server, tenant)).map((event) => event.type)).toEqual(["user.deleted"]);
	});

	it("announces each of several changes to one user that are applied together", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const user = newUser({ updated_at: base });
		// The later ones first, and all in one batch: the project's database is away until they are there.
		const restore = await takeAway(started);
		await send(started, "user.updated", { ...user, first_name: "Third", updated_at: base + 2_000 });
		await until(async () => (await getIntegration(server, tenant)).config.last_error);
		await send(started, "user.updated", { ...user, first_name: "Second", updated_at: base + 1_000 });
		await send(started, "user.created", { ...user, first_name: "First" });
		await restore();
		await settledInbound(server, 3);
		const events = await userEvents(server, tenant);
		expect(events.map((event) => `${event.type} ${event.data.user.first_name}`).sort()).toEqual([
			"user.created First",
			"user.updated Second",
			"user.updated Third",
		]);
	});

	it("says nothing of an event that changes nothing", async () => {
		const started = await startClerkServer(3);
		const { server, clerk, tenant } = started;
		await connect(started);
		const [user] = clerk.users.values();
		await send(started, "user.created", user ?? {});
		const rows = await settledInbound(server, 1);
		expect(rows).toMatchObject([{ state: "processed" }]);
		expect(await userEvents(server, tenant)).toEqual([]);
	});
});

describe("the event of a changed user", () => {
	it("shows the user as GET …/users/{id} does", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const user = newUser();
		await send(started, "user.created", user);
		await settledInbound(server, 1);
		const path = `/v1/projects/${tenant.projectId}/users/${user.id}`;
		const { body } = await server.call("GET", path, { key: tenant.key });
		const [event] = await userEvents(server, tenant);
		expect(event.data).toEqual({
			provider: "clerk",
			user_id: user.id,
			project_id: tenant.projectId,
			user: body.user,
		});
	});

	it("goes out also when the customer wrote a time that has no end", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const user = newUser();
		await send(started, "user.created", user);
		await settledInbound(server, 1);
		await projectSql(server, tenant, "update capydb_auth.users set last_sign_in_at = 'infinity'");
		await send(started, "user.deleted", { id: user.id, object: "user", deleted: true });
		await settledInbound(server, 2);
		const events = await userEvents(server, tenant);
		expect(events[1]).toMatchObject({ type: "user.deleted", data: { user: { last_sign_in_at: null } } });
	});
});

describe("while the project's database is away", () => {
	it("answers 200, applies later, and shows the trouble meanwhile", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const restore = await takeAway(started);
		for (let count = 0; count < 5; count++) {
			expect((await send(started, "user.created", newUser())).status).toBe(200);
		}
		const shown = await until(async () => (await getIntegration(server, tenant)).config.last_error);
		expect(shown).toMatch(/database/);
		expect(await userEvents(server, tenant)).toEqual([]);
		await restore();
		const rows = await settledInbound(server, 5);
		expect(rows.map((row) => row.state)).toEqual(Array(5).fill("processed"));
		expect(await userEvents(server, tenant)).toHaveLength(5);
		const cleared = async () => (await getIntegration(server, tenant)).config.last_error === null;
		expect(await until(cleared)).toBe(true);
	});

	it("makes the schema again when the customer dropped it", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		await projectSql(server, tenant, "drop schema capydb_auth cascade");
		await send(started, "user.created", newUser());
		expect(await settledInbound(server, 1)).toMatchObject([{ state: "processed" }]);
		expect(await projectSql(server, tenant, "select 1 from capydb_auth.users")).toHaveLength(1);
	});
});

describe("a row that the project's database refuses", () => {
	it("fails alone, and the others of its batch are written", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		await projectSql(server, tenant, "alter table capydb_auth.users add check (first_name <> 'Forbidden')");
		const restore = await takeAway(started);
		for (let count = 0; count < 9; count++) {
			await send(started, "user.created", newUser({ first_name: count === 4 ? "Forbidden" : "Welcome" }));
			await until(async () => (await getIntegration(server, tenant)).config.last_error);
		}
		await restore();
		const rows = await settledInbound(server, 9);
		expect(rows.map((row) => row.state)).toEqual([
			...Array(4).fill("processed"),
			"failed",
			...Array(4).fill("processed"),
		]);
		expect(rows[4]?.error).toMatch(/refused/);
		expect(await userEvents(server, tenant)).toHaveLength(8);
	});

	it("is left out of a backfill, which says so", async () => {
		const started = await startClerkServer(700);
		const { server, tenant } = started;
		await connect(started);
		await projectSql(server, tenant, "delete from capydb_auth.users");
		await projectSql(
			server,
			tenant,
			"alter table capydb_auth.users add check (id <> 'user_0000003' and id <> 'user_0000600')",
		);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
		const { body } = await server.call("POST", path, { key: tenant.key });
		const job = await endedJob(server, tenant, body.job.id);
		expect(job.state).toBe("completed");
		expect(job.last_stdout).toContain("backfilled 698 users\n2 users were left out");
		const { config } = await getIntegration(server, tenant);
		expect(config).toMatchObject({ users_synced: 698, last_error: expect.stringMatching(/^2 users/) });
	});
});

describe("a crash between the two databases", () => {
	it("neither loses nor repeats an announcement", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		// The project's database commits, the control database cannot: as if killed in between.
		await server.sql(`create function refuse() returns trigger language plpgsql as
			'begin raise exception ''killed''; end'`);
		await server.sql(`create trigger refuse before update on inbound_webhooks
			for each row when (new.state = 'processed') execute function refuse()`);
		const user = newUser();
		await send(started, "user.created", user);
		await send(started, "user.updated", { ...user, first_name: "Second", updated_at: base + 1_000 });
		await until(async () => {
			const rows = await projectSql(server, tenant, "select first_name from capydb_auth.users");
			return rows[0]?.first_name === "Second";
		});
		expect(await userEvents(server, tenant)).toEqual([]);
		await quietTrigger(server, "refuse");
		await settledInbound(server, 2);
		const events = await userEvents(server, tenant);
		expect(events.map((event) => `${event.type} ${event.data.user.first_name}`)).toEqual([
			"user.created Ada",
			"user.updated Second",
		]);
	});
});

describe("POST …/events/{id}/replay", () => {
	it("applies an event again under the same rules, and announces only what it changes", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const user = newUser();
		await send(started, "user.created", user);
		await settledInbound(server, 1);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/events`;
		const { body: list } = await server.call("GET", path, { key: tenant.key });
		expect(list.events).toMatchObject([{ type: "user.created", state: "processed", error: null }]);
		const [{ id }] = list.events;
		const one = await server.call("GET", `${path}/${id}`, { key: tenant.key });
		expect(one.body.event.payload.data).toMatchObject({ id: user.id });
		const replay = () => server.call("POST", `${path}/${id}/replay`, { key: tenant.key });
		expect(await replay()).toMatchObject({ status: 202, body: { event: { id, state: "received" } } });
		await settledInbound(server, 1);
		expect(await userEvents(server, tenant)).toHaveLength(1);
		await projectSql(server, tenant, "delete from capydb_auth.users");
		await replay();
		await settledInbound(server, 1);
		expect(await projectSql(server, tenant, "select 1 from capydb_auth.users")).toHaveLength(1);
		expect(await userEvents(server, tenant)).toHaveLength(2);
	});

	it("is not found for unknown events and other tenants, and pages through its list", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		for (let count = 0; count < 5; count++) await send(started, "user.created", newUser());
		await settledInbound(server, 5);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/events`;
		const first = await server.call("GET", `${path}?limit=3`, { key: tenant.key });
		const second = await server.call("GET", `${path}?limit=3&cursor=${first.body.next_cursor}`, {
			key: tenant.key,
		});
		const ids = [...first.body.events, ...second.body.events].map((event: { id: string }) => event.id);
		expect(ids).toEqual([...new Set(ids)].sort().reverse());
		expect(ids).toHaveLength(5);
		expect(second.body.next_cursor).toBeNull();
		for (const id of ["inb_01jd0000000000000000000000", "nonsense"]) {
			expect((await server.call("GET", `${path}/${id}`, { key: tenant.key })).status).toBe(404);
			expect((await server.call("POST", `${path}/${id}/replay`, { key: tenant.key })).status).toBe(404);
		}
		const other = await server.tenant("other");
		expect((await server.call("GET", `${path}/${ids[0]}`, { key: other.key })).status).toBe(404);
	});
});

type Started = Awaited<ReturnType<typeof startClerkServer>>;

/** Closes the project's database to its role; returns what opens it again. */
async function takeAway({ server, tenant }: Started): Promise<() => Promise<void>> {
	const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}`, { key: tenant.key });
	const name = body.project.database_name;
	await server.sql(`alter database "${name}" allow_connections false`);
	await server.sql("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1", [name]);
	return async () => void (await server.sql(`alter database "${name}" allow_connections true`));
}
