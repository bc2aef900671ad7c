import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JobClaimLost } from "../../src/jobs/errors.ts";
import {
	asCustomer,
	asSuperuser,
	directUrl,
	refusalOf,
	withDatabase,
} from "../projects/project-databases.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { type Progress, runBuild } from "./build-by-hand.ts";
import { made, previewUrl, standing, withoutTools } from "./preview-server.ts";

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: withoutTools });
});
afterAll(() => server.close());

class Killed extends Error {}

/** A preview whose building is still to be done, and what a cut-off attempt left of it. */
async function unbuilt(mode: "empty" | "clone"): Promise<{ tenant: Tenant; id: string; url: string }> {
	const tenant = await server.tenant();
	await asCustomer(await directUrl(server, tenant), "create table public.t as select 1 as one");
	const { id } = await made(server, tenant, { mode });
	const url = await previewUrl(server, tenant, id);
	await asSuperuser(`drop database "${id}" with (force)`, `drop role "${id}"`);
	await server.sql("update preview_databases set state = 'provisioning' where mode = $1", [mode]);
	return { tenant, id, url };
}

/** A database that somebody has just left cannot be copied for a moment. */
async function onceIdle(statement: () => Promise<unknown>): Promise<void> {
	await until(() =>
		statement().then(
			() => true,
			(error: { code?: string }) => {
				if (error.code !== "55006") throw error;
			},
		),
	);
}

async function works(id: string, url: string, mode: string): Promise<void> {
	const rows = await asCustomer(
		url,
		"create table public.mine (id int)",
		"select to_regclass('public.t') as t",
	);
	expect(rows).toEqual([{ t: mode === "clone" ? "t" : null }]);
	const members = await asSuperuser(`select 1 from pg_auth_members m
		join pg_roles r on r.oid in (m.roleid, m.member) where r.rolname = '${id}'`);
	expect(members).toEqual([]);
}

describe.each(["empty", "clone"] as const)(
	"building a preview database (%s), killed and run again",
	(mode) => {
		it.each([
			["nothing", () => []],
			["the role", (id: string) => [`create role "${id}" nologin`]],
			[
				"a database that takes no connections",
				(id: string) => [`create role "${id}" nologin`, `create database "${id}" allow_connections false`],
			],
			[
				"half a copy, with a role that may log in",
				(id: string) => [`create role "${id}" login password 'x'`, `create database "${id}" owner "${id}"`],
			],
			[
				"a role lent to the project's",
				(id: string, project: string) => [
					`create role "${id}" nologin`,
					`create database "${id}" template "${project}"`,
					`grant "${id}" to "${project}"`,
				],
			],
		])("begins again when there was %s", async (_what, left) => {
			const { tenant, id, url } = await unbuilt(mode);
			for (const statement of left(id, tenant.projectId)) await onceIdle(() => asSuperuser(statement));
			await runBuild(server, id);
			await works(id, url, mode);
			expect(await refusalOf(withDatabase(await directUrl(server, tenant), id))).toBe("42501");
		});

		it("keeps a database that is whole, and only opens it", async () => {
			const { id, url } = await unbuilt(mode);
			const saved: Progress[] = [];
			const killWhenBuilt = (progress: Progress) => {
				saved.push(progress);
				if (progress.built === true) throw new Killed();
			};
			await expect(runBuild(server, id, server.ctx, { onSave: killWhenBuilt })).rejects.toThrow(Killed);
			expect(await refusalOf(url)).toMatch(/^28/);
			await asSuperuser(`comment on database "${id}" is 'the same one'`);
			const said = await runBuild(server, id, server.ctx, { progress: saved.at(-1) ?? {} });
			expect(said.at(-1)).toBe("opened it to its role");
			const [comment] = await asSuperuser<{ text: string }>(
				`select shobj_description(oid, 'pg_database') as text from pg_database where datname = '${id}'`,
			);
			expect(comment?.text).toBe("the same one");
			await works(id, url, mode);
		});

		it("does nothing for one that was deleted, and opens none that was deleted meanwhile", async () => {
			const { id, url } = await unbuilt(mode);
			const deleteWhenBuilt = async (progress: Progress) => {
				if (progress.built === true) await server.sql("update preview_databases set state = 'deleting'");
			};
			const building = runBuild(server, id, server.ctx, { onSave: deleteWhenBuilt });
			await expect(building).rejects.toMatchObject({ code: "preview.deleting" });
			expect(await refusalOf(url)).toMatch(/^28/);
			await expect(runBuild(server, id)).rejects.toMatchObject({ code: "preview.deleting" });
		});

		it("drops nothing when another process has taken the job over", async () => {
			const { id, url } = await unbuilt(mode);
			await runBuild(server, id);
			await server.sql("update preview_databases set state = 'provisioning' where mode = $1", [mode]);
			const lose = () => {
				throw new JobClaimLost();
			};
			await expect(runBuild(server, id, server.ctx, { onSave: lose })).rejects.toThrow(JobClaimLost);
			expect(await standing(id)).toEqual(["database", "role"]);
			expect(await refusalOf(url)).toBeNull();
		});
	},
);
