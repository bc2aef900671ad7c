import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OrganizationId, type ProjectId, toUuid } from "../../src/core/ids.ts";
import { enqueueJob } from "../../src/jobs/enqueue-job.ts";
import { ownSignatures, standardSignatures } from "../deliveries/signatures.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	type Owner,
	receiving,
} from "../deliveries/webhook-server.ts";
import { metricsToken } from "../http/scrape.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { createReplicaSet, type Replica, type ReplicaSet, type Role } from "./replica-set.ts";

const sets: { roles: Role[] }[] = [
	{ roles: ["all", "worker"] },
	{ roles: ["api", "all", "worker", "worker"] },
];

describe.each(sets)("replicas on one database: $roles", ({ roles }) => {
	/** Only sets things up and looks at the database; the replicas do all that is tested. */
	let server: TestServer;
	let set: ReplicaSet;
	let callable: Replica[];
	let working: Replica[];

	beforeAll(async () => {
		server = await startTestServer({ keep: true, env: { ROLE: "api" } });
		await missSchedules(server);
		await noteClaims(server);
		const env = { METRICS_TOKEN: metricsToken, WEBHOOK_CONCURRENCY: "8", WEBHOOK_ENDPOINT_CONCURRENCY: "8" };
		set = createReplicaSet(server, env);
		const replicas = await Promise.all(roles.map((role) => set.add(role)));
		callable = replicas.filter(({ role }) => role !== "worker");
		working = replicas.filter(({ role }) => role !== "api");
	});
	afterAll(async () => {
		await set.close();
		await server.close();
	});

	it("send each delivery exactly once, and share the sending", async () => {
		const owner = await addOrganization(server);
		const receiver = await receiving();
		receiver.respondWith({ status: 200, delayMs: 20 });
		for (const _ of [1, 2]) await addEndpoint(server, owner, { url: receiver.url });
		const attemptsBefore = await Promise.all(working.map(countAttempts));
		const events = Array.from({ length: 20 }, (_, at) => ({ type: "a", data: at }));
		const batches = Array.from({ length: 30 }, (_, at) => publishAt(inTurn(callable, at), owner, { events }));
		expect((await Promise.all(batches)).map(({ deliveries }) => deliveries)).toEqual(Array(30).fill(40));
		await receiver.waitFor(1_200);
		await allDelivered(server, owner);
		expect(receiver.requests).toHaveLength(1_200);
		expect(new Set(receiver.requests.map(({ headers }) => headers["x-capydb-delivery"])).size).toBe(1_200);
		const attemptsAfter = await Promise.all(working.map(countAttempts));
		const shares = attemptsAfter.map((count, at) => count - (attemptsBefore[at] ?? 0));
		expect(shares.reduce((sum, share) => sum + share)).toBe(1_200);
		expect(Math.min(...shares)).toBeGreaterThan(0);
	});

	it("run each job once, and those of one project one after the other", async () => {
		const tenants = await Promise.all(["a", "b", "c"].map((name) => server.tenant(name)));
		await Promise.all(tenants.map((tenant) => rotateOften(server, tenant, 5)));
		const organizations = tenants.map(({ organizationId }) => toUuid(organizationId));
		const jobs = await until(async () => {
			const rows = await server.sql<JobRow>(jobsSql, [organizations]);
			return rows.length === 18 && rows.every(({ state }) => state === "completed") && rows;
		});
		expect(jobs.map(({ attempts, claims }) => [attempts, claims])).toEqual(Array(18).fill([1, 1]));
		for (const [at, { locked_resource: resource, completed_at: end }] of jobs.entries()) {
			const next = jobs[at + 1];
			if (next?.locked_resource === resource) expect(next.started_at >= end).toBe(true);
		}
		const told = "select 1 from events where type = 'job.completed' and organization_id = any ($1::uuid[])";
		expect(await server.sql(told, [organizations])).toHaveLength(18);
	});

	it("all hold to a changed URL, secret and state with the next send", async () => {
		const owner = await addOrganization(server);
		const [former, next] = [await receiving(), await receiving()];
		for (const receiver of [former, next]) receiver.respondWith({ status: 200, delayMs: 20 });
		const endpoint = await addEndpoint(server, owner, { url: former.url });
		const [first, last] = [inTurn(callable, 0), inTurn(callable, callable.length - 1)];
		const events = Array.from({ length: 60 }, (_, at) => ({ type: "a", data: at }));
		await publishAt(last, owner, { events });
		await allDelivered(server, owner);

		await patch(first, owner, endpoint, { url: next.url });
		await publishAt(last, owner, { events });
		await allDelivered(server, owner);
		expect([former.requests.length, next.requests.length]).toEqual([60, 60]);

		const rotated = await ask(last, "POST", `${endpoint.path}/rotate-secret`, owner.key, {});
		await publishAt(first, owner, { events });
		await allDelivered(server, owner);
		for (const request of next.requests.slice(60)) {
			expect(ownSignatures(request, [rotated.plaintext_secret])).toBe(true);
			expect(standardSignatures(request, [rotated.plaintext_secret])).toBe(true);
		}

		await patch(first, owner, endpoint, { is_active: false });
		expect((await publishAt(last, owner, { events })).deliveries).toBe(0);
		await patch(last, owner, endpoint, { is_active: true });
		await ask(first, "DELETE", endpoint.path, owner.key);
		expect((await publishAt(last, owner, { events })).deliveries).toBe(0);
		expect([former.requests.length, next.requests.length]).toEqual([60, 120]);
	});

	it("send each tick of each schedule once, and run it on one of them", async () => {
		const ticks = await until(async () => {
			const rows = await server.sql<{ name: string; sent: number }>(ticksSql);
			return rows.some(({ name }) => name === "tables.maintain") && rows;
		});
		expect(ticks.filter(({ sent }) => sent !== 1)).toEqual([]);
		const names = new Set(ticks.map(({ name }) => name));
		expect([...names]).toEqual(expect.arrayContaining(["projects.drop_expired", "branches.sweep"]));
		for (const name of ["tables.maintain", "projects.drop_expired"]) {
			// Each run is counted by the one replica that did it.
			const runs = await until(async () => {
				const rows = await server.sql("select state from pgboss.job where name = $1", [name]);
				const done = await Promise.all(working.map((replica) => countTasks(replica, name)));
				const isOver = rows.length > 0 && rows.every(({ state }) => state === "completed");
				return isOver && done.reduce((sum, count) => sum + count) === rows.length && rows.length;
			});
			// A tick that was missed, and the one that is due, may become one.
			const sent = (await server.sql(ticksSql)).filter((tick) => tick.name === name);
			expect(runs).toBeLessThanOrEqual(sent.length);
		}
	});
});

/** Leaves the database as after an outage of over an hour: each schedule has a tick to catch up on. */
async function missSchedules(server: TestServer): Promise<void> {
	const { databaseUrl } = server;
	const worker = await startTestServer({ databaseUrl, keep: true, env: { ROLE: "worker" } });
	await worker.close();
	await server.sql("delete from pgboss.job");
	await server.sql("update pgboss.schedule set created_on = now() - interval '3 hours'");
	await server.sql("update pgboss.version set cron_on = now() - interval '70 minutes'");
}

/** Keeps each claim of a job in a table of the test's own. */
async function noteClaims(server: TestServer): Promise<void> {
	await server.sql("create table noted_claims (job_id uuid not null, claim_id uuid not null)");
	await server.sql(`create function note_claim() returns trigger language plpgsql as
		'begin insert into noted_claims values (new.id, new.claim_id); return null; end'`);
	await server.sql(`create trigger note_claims after update on jobs for each row
		when (new.claim_id is not null and new.claim_id is distinct from old.claim_id)
		execute function note_claim()`);
}

type JobRow = {
	state: string;
	attempts: number;
	claims: number;
	locked_resource: string;
	started_at: Date;
	completed_at: Date;
};

const jobsSql = `select state, attempts, locked_resource, started_at, completed_at,
	(select count(*)::int from noted_claims where job_id = id) as claims
	from jobs where organization_id = any ($1::uuid[]) order by locked_resource, started_at`;

const ticksSql = `select data ->> 'name' as name, data ->> 'slot' as slot, count(*)::int as sent
	from pgboss.job where name = '__pgboss__send-it' group by 1, 2`;

async function rotateOften(server: TestServer, tenant: Tenant, count: number): Promise<void> {
	await server.ctx.transaction(async (tx) => {
		for (let made = 0; made < count; made += 1) {
			await enqueueJob(tx, {
				type: "project.rotate_credentials",
				organizationId: tenant.organizationId as OrganizationId,
				projectId: tenant.projectId as ProjectId,
				lockedResource: `project:${tenant.projectId}`,
			});
		}
	});
}

function inTurn(replicas: Replica[], at: number): Replica {
	const replica = replicas[at % replicas.length];
	if (!replica) throw new Error("no replica takes calls");
	return replica;
}

async function ask(
	replica: Replica,
	method: string,
	path: string,
	key: string,
	body?: unknown,
): Promise<Body> {
	const answer = await fetch(`${replica.url}${path}`, {
		method,
		headers: {
			authorization: `Bearer ${key}`,
			...(body !== undefined && { "content-type": "application/json" }),
		},
		...(body !== undefined && { body: JSON.stringify(body) }),
	});
	if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
	return answer.json();
}

function publishAt(replica: Replica, { organizationId, key }: Owner, body: unknown): Promise<Body> {
	return ask(replica, "POST", `/v1/organizations/${organizationId}/events`, key, body);
}

function patch(replica: Replica, owner: Owner, endpoint: AddedEndpoint, body: unknown): Promise<Body> {
	return ask(replica, "PATCH", endpoint.path, owner.key, body);
}

/** Nothing waits any more, and nothing took more than one attempt. */
async function allDelivered(server: TestServer, { organizationId }: Owner): Promise<void> {
	const states = "select state, attempts from deliveries where organization_id = $1 group by 1, 2";
	await until(async () => {
		const rows = await server.sql(states, [toUuid(organizationId)]);
		return rows.length === 1 && rows[0]?.state === "delivered" && rows[0].attempts === 1;
	});
}

function countAttempts(replica: Replica): Promise<number> {
	return counted(replica, /^capydb_delivery_attempts_total\{.*\} (\d+)$/gm);
}

function countTasks(replica: Replica, task: string): Promise<number> {
	return counted(replica, new RegExp(`^capydb_tasks_total\\{[^}]*task="${task}"[^}]*\\} (\\d+)$`, "gm"));
}

/** The sum of a replica's series that match. */
async function counted(replica: Replica, series: RegExp): Promise<number> {
	const headers = { authorization: `Bearer ${metricsToken}` };
	const text = await (await fetch(`${replica.url}/metrics`, { headers })).text();
	return [...text.matchAll(series)].reduce((sum, [, value]) => sum + Number(value), 0);
}
