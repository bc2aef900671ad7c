import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ProjectId } from "../../src/core/ids.ts";
import type { Project } from "../../src/projects/project.ts";
import { ensureAuthSchema } from "../../src/user-sync/ensure-auth-schema.ts";
import { projectSql } from "../integrations/clerk-server.ts";
import { asSuperuser } from "../projects/project-databases.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";

let server: TestServer;
let tenant: Tenant;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	tenant = await server.tenant();
});
afterAll(() => server.close());

beforeEach(async () => {
	await sql("drop schema if exists capydb_auth cascade");
});

const sql = (text: string, values: unknown[] = []) => projectSql(server, tenant, text, values);

const get = (path = "", key = tenant.key) =>
	server.call("GET", `/v1/projects/${tenant.projectId}/users${path}`, { key });

async function makeSchema(): Promise<void> {
	const project = await server.ctx.stores.projects.find(tenant.projectId as ProjectId);
	await ensureAuthSchema(server.ctx, project as Project);
}

/** `count` users, three to a moment of creation; the seventh of each ten without one, the ninth deleted. */
async function fill(count: number): Promise<void> {
	await makeSchema();
	await sql(
		`insert into capydb_auth.users (id, email, first_name, last_name, created_at, deleted_at, raw)
		select case when i % 2 = 0 then 'auth0|' else 'B_' end || i, 'Mail' || i || '@example.com', 'Ada', 'Nr ' || i,
			case when i % 10 <> 7 then timestamptz '2026-01-01' + (i / 3) * interval '1 microsecond' end,
			case when i % 10 = 9 then timestamptz '2026-02-01' end, jsonb_build_object('n', i)
		from generate_series(1, $1::int) i`,
		[count],
	);
}

async function walk(query: string): Promise<string[]> {
	const seen: string[] = [];
	let cursor: string | null = null;
	do {
		const { status, body } = await get(`?${query}${cursor === null ? "" : `&cursor=${cursor}`}`);
		expect(status).toBe(200);
		seen.push(...body.users.map(({ id }: { id: string }) => id));
		cursor = body.next_cursor;
	} while (cursor !== null);
	return seen;
}

const idsOf = async (where: string) =>
	(
		await sql(`select id from capydb_auth.users where ${where}
			order by created_at desc nulls last, id collate "C" desc`)
	).map(({ id }) => id);

describe("GET /v1/projects/{projectID}/users", () => {
	it("is an empty list before any provider was connected", async () => {
		expect(await get()).toMatchObject({ status: 200, body: { users: [], next_cursor: null } });
		expect((await get("/user_1")).status).toBe(404);
	});

	it("gives every living user once, newest first, those without a time last", async () => {
		await fill(90);
		const living = await idsOf("deleted_at is null");
		expect(living).toHaveLength(81);
		expect(await walk("limit=7")).toEqual(living);
		expect(await walk("")).toEqual(living);
		expect((await get("?limit=81")).body.next_cursor).toBeNull();
		expect((await get()).body.users).toHaveLength(25);
		expect(await walk("limit=250&include_deleted=true")).toEqual(await idsOf("true"));
	});

	it("walks its own index at any depth", async () => {
		await fill(3000);
		await sql("analyze capydb_auth.users");
		const plan = await sql(`explain (format json) select id from capydb_auth.users u
			where (coalesce(u.created_at, '-infinity'::timestamptz), u.id collate "C")
				< (timestamptz '2026-01-01 00:00:00.0001', 'x') and deleted_at is null
			order by coalesce(u.created_at, '-infinity'::timestamptz) desc, u.id collate "C" desc limit 25`);
		expect(JSON.stringify(plan)).toMatch(/users_newest_idx/);
		expect(JSON.stringify(plan)).not.toMatch(/"Sort"/);
	});

	it("finds parts of ids, addresses and names in any case, and takes no character as a pattern", async () => {
		await fill(40);
		await sql(`insert into capydb_auth.users (id, email, username) values
			('u1', '100%_sure@example.com', 'Кот\\'), ('u2', '100 sure@example.com', 'x')`);
		const found = async (search: string) => walk(`search=${encodeURIComponent(search)}`);
		expect(await found("mAIL12@")).toEqual(["auth0|12"]);
		expect(await found("ada nr 33")).toEqual(["B_33"]);
		expect(await found("H0|34")).toEqual(["auth0|34"]);
		expect(await found("100%_s")).toEqual(["u1"]);
		expect(await found("КОТ\\")).toEqual(["u1"]);
		expect(await found("mail19")).toEqual([]);
		expect(await walk("search=mail19&include_deleted=true")).toEqual(["B_19"]);
		expect((await get("?search=%00")).status).toBe(400);
		expect((await get(`?search=${"x".repeat(201)}`)).status).toBe(400);
	});

	it("shows the columns, which provider brought each, and the document only for one", async () => {
		await makeSchema();
		await sql(`insert into capydb_auth.users (id, email, created_at, raw)
			values ('auth0|a/b c', 'a@example.com', '2026-01-01T10:00:00.123Z', '{"a": 1}')`);
		await sql(`insert into capydb_auth.sync_state values ('auth0|a/b c', 'auth0', now(), 1, '{}', now())`);
		const user = {
			id: "auth0|a/b c",
			provider: "auth0",
			email: "a@example.com",
			first_name: null,
			last_name: null,
			username: null,
			image_url: null,
			created_at: "2026-01-01T10:00:00.123Z",
			updated_at: null,
			last_sign_in_at: null,
			deleted_at: null,
		};
		expect((await get()).body).toEqual({ users: [user], next_cursor: null });
		expect((await get("/auth0%7Ca%2Fb%20c")).body).toEqual({ user: { ...user, raw: { a: 1 } } });
		expect((await get("/auth0%257Ca")).status).toBe(404);
	});

	it("takes no cursor but its own", async () => {
		await fill(3);
		const spell = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString("base64url");
		const wrong = [
			spell("2026-02-30 00:00:00+00", "x"),
			spell("2026-01-01 00:00:00+00"),
			spell("now", "x"),
			spell(1, 2),
			spell("2026-01-01 00:00:00+00", "a\0b"),
			"bnVsbA",
			"e30",
		];
		for (const cursor of wrong) {
			const { status, body } = await get(`?cursor=${cursor}`);
			expect([cursor, status, body.code]).toEqual([cursor, 400, "cursor.invalid"]);
		}
	});

	it("reads tables that the customer altered as long as it can, and says so when it cannot", async () => {
		await fill(2);
		await sql(`alter table capydb_auth.users add column plan text not null default 'x',
			alter column username type int using 7`);
		expect((await get()).body.users).toMatchObject([{ username: "7" }, { username: "7" }]);
		await sql("alter table capydb_auth.users drop column last_name");
		const { status, body } = await get();
		expect([status, body.code]).toEqual([409, "project_database.altered"]);
	});

	it("is 503 with a sentence while the project's database is away, and back when it is", async () => {
		await fill(1);
		const { project } = (await server.call("GET", `/v1/projects/${tenant.projectId}`)).body;
		const close = `alter database "${project.database_name}" allow_connections false`;
		await asSuperuser(
			close,
			`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${project.database_name}'`,
		);
		const away = await get();
		expect([away.status, away.body.code]).toEqual([503, "project_database.unavailable"]);
		expect(away.headers.get("retry-after")).toBe("5");
		await asSuperuser(close.replace("false", "true"));
		expect((await get()).body.users).toHaveLength(1);
	});

	it("is 409 while the project is not ready", async () => {
		await server.sql("update projects set state = 'provisioning'");
		expect((await get()).body.code).toBe("project.not_ready");
		await server.sql("update projects set state = 'ready'");
	});
});
