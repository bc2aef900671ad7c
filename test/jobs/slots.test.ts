import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { endedJob } from "../integrations/clerk-server.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const lockKey = 4712;

it("long jobs hold up no short one, however many there are", async () => {
	const server = await startTestServer();
	const tenant = await server.tenant();
	const { key, projectId } = tenant;
	const gate = await stopJobs(server, "branch.create");
	const previews: string[] = [];
	for (let count = 0; count < 10; count++) {
		const { body } = await server.call("POST", `/v1/projects/${projectId}/preview-databases`, { key });
		previews.push(body.job.id);
	}
	await until(async () => (await gate.waiting()) === 8);
	const { body } = await server.call("POST", `/v1/projects/${projectId}/credentials/rotate`, { key });
	expect(await endedJob(server, tenant, body.job.id)).toMatchObject({ state: "completed" });
	expect(await gate.waiting()).toBe(8);
	await gate.open();
	for (const id of previews) expect((await endedJob(server, tenant, id)).state).toBe("completed");
});

/** Jobs of the type stand still where they begin, until the gate is opened. */
async function stopJobs(server: TestServer, type: string) {
	const holder = new pg.Client({ connectionString: server.databaseUrl });
	holder.on("error", () => undefined);
	await holder.connect();
	onTestFinished(() => holder.end());
	await holder.query("select pg_advisory_lock($1)", [lockKey]);
	await server.sql(`create function stop_here() returns trigger language plpgsql as
		$$ begin perform pg_advisory_xact_lock_shared(${lockKey}); return new; end $$`);
	await server.sql(`create trigger stop_here before update on jobs for each row
		when (new.type = '${type}' and new.state = 'running') execute function stop_here()`);
	return {
		waiting: async () => {
			const [row] = await server.sql<{ count: number }>(`select count(*)::int as count from pg_locks
				where locktype = 'advisory' and objid = ${lockKey} and not granted
					and database = (select oid from pg_database where datname = current_database())`);
			return row?.count;
		},
		open: () => holder.query("select pg_advisory_unlock($1)", [lockKey]),
	};
}
