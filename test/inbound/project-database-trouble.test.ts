import pg from "pg";
import { describe, expect, it } from "vitest";
import {
	type ClerkServer,
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
import { until } from "../support/until.ts";

const base = 1_760_000_000_000;

type Trouble = {
	name: string;
	/** What the integration shows meanwhile. */
	shown: RegExp;
	/** Makes the trouble, and returns what ends it. */
	make(started: ClerkServer): Promise<() => Promise<unknown>>;
};

/** Trouble that one statement of the customer makes and another ends. */
const byStatement = (name: string, shown: RegExp, begin: string, end: string): Trouble => ({
	name,
	shown,
	make: async ({ server, tenant }) => {
		await projectSql(server, tenant, begin);
		return () => projectSql(server, tenant, end);
	},
});

/** Trouble of the database as a whole, which begins for connections that are new. */
const byDatabase = (name: string, shown: RegExp, begin: string, end: string): Trouble => ({
	name,
	shown,
	make: (started) => alterDatabase(started, begin, end),
});

const altered = /^The tables of capydb_auth were altered/;

const troubles: Trouble[] = [
	byDatabase("is down", /^Could not connect/, "allow_connections false", "allow_connections true"),
	byDatabase("takes no more connections", /^Could not connect/, "connection limit 0", "connection limit -1"),
	byDatabase(
		"is read-only",
		/is read-only just now/,
		"set default_transaction_read_only = on",
		"reset default_transaction_read_only",
	),
	{ name: "is held up by locks", shown: /took too long/, make: lockUsers },
	byStatement(
		"keeps its role from writing",
		/lacks a privilege/,
		"revoke insert, update on capydb_auth.users from current_user",
		"grant insert, update on capydb_auth.users to current_user",
	),
	byStatement(
		"has a column of another type",
		altered,
		"alter table capydb_auth.users alter column updated_at type text",
		"alter table capydb_auth.users alter column updated_at type timestamptz using updated_at::timestamptz",
	),
	byStatement(
		"has lost its primary key",
		altered,
		"alter table capydb_auth.users drop constraint users_pkey",
		"alter table capydb_auth.users add primary key (id)",
	),
	byStatement(
		"has lost a column of our bookkeeping, until the table is dropped",
		altered,
		"alter table capydb_auth.sync_state drop column effects",
		"drop table capydb_auth.sync_state",
	),
];

describe.each(troubles)("while the project's database $name", ({ shown, make }) => {
	it("webhooks are taken and wait, the integration says why, and all take effect in order later", async () => {
		const started = await startClerkServer(0);
		const { server, clerk, tenant } = started;
		await connect(started);
		const [user, other] = [newUser(), newUser()];
		const third = { ...user, first_name: "Third", updated_at: base + 2_000 };
		// So that a backfill, where one is queued to mend the tables, finds what the webhooks say.
		clerk.users.set(user.id, third as never);
		await send(started, "user.created", { ...user, first_name: "First" });
		await settledInbound(server, 1);
		const end = await make(started);
		const answers = [
			await send(started, "user.updated", third),
			await send(started, "user.updated", { ...user, first_name: "Second", updated_at: base + 1_000 }),
			await send(started, "user.created", other),
			await send(started, "user.deleted", { id: other.id, object: "user", deleted: true }),
		];
		expect(answers.map(({ status }) => status)).toEqual(Array(4).fill(200));
		await until(async () => shown.test((await getIntegration(server, tenant)).config.last_error ?? ""));
		expect(await userEvents(server, tenant)).toHaveLength(1);
		const waiting = await server.sql("select 1 from inbound_webhooks where state = 'received'");
		expect(waiting).toHaveLength(4);
		await end();
		await settledInbound(server, 5);
		const rows = await projectSql(
			server,
			tenant,
			"select id, first_name, deleted_at is not null as is_deleted from capydb_auth.users",
		);
		const expected = [
			{ id: user.id, first_name: "Third", is_deleted: false },
			{ id: other.id, first_name: "Ada", is_deleted: true },
		];
		expect(rows.toSorted(byId)).toEqual(expected.toSorted(byId));
		const cleared = async () => (await getIntegration(server, tenant)).config.last_error === null;
		expect(await until(cleared)).toBe(true);
		expect(await getIntegration(server, tenant)).toMatchObject({ state: "active" });
	});
});

describe("what comes while the project's database is away", () => {
	it("does not shorten the wait before the next try, and all of it takes effect when the database is back", async () => {
		const started = await startClerkServer(0);
		const { server } = started;
		await connect(started);
		await noteFailures(started);
		const end = await takeAway(started);
		const failures = () => server.sql<{ waited: number }>("select waited from failures order by at");
		let sent = 0;
		const enough = async () => {
			await send(started, "user.created", newUser());
			sent += 1;
			return (await failures()).length >= 3;
		};
		await until(enough, { everyMs: 30 });
		const [, second, third] = await failures();
		expect(second?.waited).toBeGreaterThanOrEqual(2);
		expect(third?.waited).toBeGreaterThanOrEqual(4);
		await end();
		const rows = await settledInbound(server, sent);
		expect(rows.map(({ state }) => state)).toEqual(Array(sent).fill("processed"));
	});

	it("takes effect at once when the customer connects again after mending it", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		// As after hours: the next try comes in a minute.
		await server.sql(`update integrations set status = status || '{"applyFailures": 10}'`);
		const end = await takeAway(started);
		await send(started, "user.created", newUser());
		await until(async () => (await getIntegration(server, tenant)).config.last_error);
		await end();
		await connect(started);
		const connectedAt = Date.now();
		await settledInbound(server, 1);
		expect(Date.now() - connectedAt).toBeLessThan(30_000);
	});
});

describe("what the customer did to the tables", () => {
	it("is mended when the schema was dropped: all users come back, not only those of the webhooks", async () => {
		const started = await startClerkServer(5);
		const { server, tenant } = started;
		await connect(started);
		await projectSql(server, tenant, "drop schema capydb_auth cascade");
		await send(started, "user.created", newUser());
		await settledInbound(server, 1);
		await until(async () => {
			const rows = await projectSql(server, tenant, "select 1 from capydb_auth.users");
			return rows.length === 6;
		});
		const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}/jobs`, { key: tenant.key });
		const types = body.jobs.map(({ type }: { type: string }) => type);
		expect(types.filter((type: string) => type === "integration.clerk_backfill")).toHaveLength(2);
		await endedJob(server, tenant, body.jobs[0].id);
	});

	it("is shown when it refuses rows, and undone by a sync once it is mended", async () => {
		const started = await startClerkServer(0);
		const { server, clerk, tenant } = started;
		await connect(started);
		await projectSql(server, tenant, "alter table capydb_auth.users add column plan text not null");
		const user = newUser();
		await send(started, "user.created", user);
		expect(await settledInbound(server, 1)).toMatchObject([
			{ state: "failed", error: "The project's database refused the user's row." },
		]);
		expect((await getIntegration(server, tenant)).config.last_error).toBe(
			"1 changes were refused: the project's database does not take the users' rows.",
		);
		await projectSql(server, tenant, "alter table capydb_auth.users alter column plan drop not null");
		clerk.users.set(user.id, user as never);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
		const { body } = await server.call("POST", path, { key: tenant.key });
		await endedJob(server, tenant, body.job.id);
		expect((await getIntegration(server, tenant)).config.last_error).toBeNull();
		expect(await projectSql(server, tenant, "select id from capydb_auth.users")).toEqual([{ id: user.id }]);
	});
});

/** A migration of the customer's that does not end. */
async function lockUsers(started: ClerkServer): Promise<() => Promise<void>> {
	const url = new URL(started.server.databaseUrl);
	url.pathname = `/${await databaseName(started)}`;
	const client = new pg.Client({ connectionString: url.href });
	await client.connect();
	await client.query("begin");
	await client.query("lock table capydb_auth.users in access exclusive mode");
	return () => client.end();
}

/** As `byDatabase` says; returns what ends it. */
async function alterDatabase(
	started: ClerkServer,
	begin: string,
	end: string,
): Promise<() => Promise<unknown>> {
	const { server } = started;
	const database = await databaseName(started);
	await server.sql(`alter database "${database}" ${begin}`);
	const theirs = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1";
	await server.sql(theirs, [database]);
	return () => server.sql(`alter database "${database}" ${end}`);
}

function takeAway(started: ClerkServer): Promise<() => Promise<unknown>> {
	return alterDatabase(started, "allow_connections false", "allow_connections true");
}

/** Notes each try that failed, in seconds since the one before, and lets more come before the next is asked for. */
async function noteFailures({ server }: ClerkServer): Promise<void> {
	await server.sql("create table failures (at timestamptz not null, waited float8)");
	await server.sql(`create function note_failure() returns trigger language plpgsql as $$ begin
		insert into failures select clock_timestamp(), extract(epoch from clock_timestamp() - max(at)) from failures;
		perform pg_sleep(0.3);
		return new;
	end $$`);
	await server.sql(`create trigger note_failure before update on integrations for each row
		when (new.status -> 'applyFailures' is distinct from old.status -> 'applyFailures'
			and new.status ? 'applyFailures') execute function note_failure()`);
}

async function databaseName({ server, tenant }: ClerkServer): Promise<string> {
	const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}`, { key: tenant.key });
	return body.project.database_name;
}

function byId(left: { id?: unknown }, right: { id?: unknown }): number {
	return String(left.id) < String(right.id) ? -1 : 1;
}
