// The same work with a pg-boss job for each delivery: fetched by `work()`, sent, recorded, completed.
import pg from "pg";
import { PgBoss } from "pg-boss";
import { fromUuid } from "../../src/core/ids.ts";
import { signedHeaders, signingKeys } from "../../src/deliveries/engine/sign.ts";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { openDatabase } from "../../src/platform/db.ts";
import { createSender } from "../../src/platform/sender.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import { serve } from "./child.ts";

// The settings that were fastest of those tried: batches are fetched again at once while they come full.
const workers = 4;
const batchSize = 50;

const url = process.env.BENCH_DATABASE_URL ?? "";
const queue = "deliveries";
const keys = [signingKeys(`whsec_${Buffer.alloc(32, 5).toString("base64")}`)];
const sender = createSender({
	guard: createAddressGuard({ allow: ["127.0.0.0/8"] }),
	deadlineMs: 15_000,
	connectionsPerOriginMax: 256,
});
const database = openDatabase({
	url,
	applicationName: "bench-boss",
	connectionsMax: workers,
	log: silentLog,
	statementTimeoutMs: 60_000,
	plansByKey: true,
});
const plain = new pg.Pool({ connectionString: url, max: 1 });
const boss = new PgBoss({
	connectionString: `${url}?options=${encodeURIComponent("-c enable_bitmapscan=off")}`,
	schema: "bench_boss",
	max: workers * 2,
	schedule: false,
});
boss.on("error", () => undefined);
await boss.start();
await boss.createQueue(queue, { partition: true, deleteAfterSeconds: 60, retryLimit: 0 });

type Task = { organizationId: string; id: string };
type DueRow = {
	organization_id: string;
	id: string;
	endpoint_id: string;
	event_id: string;
	event_type: string;
	payload: string;
	url: string;
};
type Sent = DueRow & { at: Date; status: number; durationMs: number; headers: string };

let sent = 0;

async function handle(tasks: { data: Task }[]): Promise<void> {
	const due = await database.prepared<DueRow>("due", dueSql, [
		tasks.map((task) => task.data.organizationId),
		tasks.map((task) => task.data.id),
	]);
	const results = await Promise.all(due.map(send));
	await database.prepared("record", recordSql, [
		results.map((result) => result.organization_id),
		results.map((result) => result.id),
		results.map((result) => result.endpoint_id),
		results.map((result) => result.at),
		results.map((result) => result.durationMs),
		results.map((result) => result.status),
		results.map((result) => result.headers),
	]);
	sent += results.length;
}

async function send(row: DueRow): Promise<Sent> {
	const at = new Date();
	const body = Buffer.from(row.payload);
	const headers = signedHeaders({
		body,
		eventId: fromUuid("evt", row.event_id),
		eventType: row.event_type,
		deliveryId: fromUuid("whd", row.id),
		keys,
		at,
	});
	const outcome = await sender.send({ url: row.url, body, headers });
	if (outcome.kind === "failed") throw new Error(outcome.message);
	const { status, durationMs } = outcome;
	return { ...row, at, status, durationMs, headers: JSON.stringify(outcome.headers) };
}

const dueSql = `
select d.organization_id, d.id, d.endpoint_id, d.event_id, d.event_type, e.payload, w.url
from unnest($1::uuid[], $2::uuid[]) as t(organization_id, id)
join deliveries d on d.organization_id = t.organization_id and d.id = t.id
join events e on e.organization_id = d.organization_id and e.id = d.event_id
join webhook_endpoints w on w.id = d.endpoint_id`;

const waitingSql = `
select organization_id as "organizationId", id from deliveries where state = 'pending' order by id`;

const recordSql = `
with result as (
	select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::int[], $6::int[], $7::jsonb[])
		as r(organization_id, id, endpoint_id, at, duration_ms, status, headers)
), attempted as (
	insert into delivery_attempts (organization_id, id, endpoint_id, delivery_id, number, at, duration_ms,
		response_status, response_headers, response_body)
	select organization_id, uuid_v7(), endpoint_id, id, 1, at, duration_ms, status, headers, '' from result
)
update deliveries d set state = 'delivered', attempts = 1, next_attempt_at = null, response_status = r.status,
	delivered_at = now(), updated_at = now()
from result r where d.organization_id = r.organization_id and d.id = r.id`;

const commands = {
	/** A job for each delivery that waits. */
	fill: async () => {
		await boss.deleteAllJobs(queue);
		const { rows } = await plain.query(waitingSql);
		for (let at = 0; at < rows.length; at += 5_000) {
			await boss.insert(
				queue,
				rows.slice(at, at + 5_000).map((task: Task) => ({ data: task })),
			);
		}
		await plain.query("analyze");
		await plain.query("checkpoint");
	},
	/** From the first fetch to the last job completed. */
	run: async () => {
		sent = 0;
		const { rows } = await plain.query("select count(*)::int as due from deliveries where state = 'pending'");
		const startedAt = performance.now();
		await boss.work<Task>(
			queue,
			{ batchSize, localConcurrency: workers, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 },
			handle,
		);
		await until(() => sent >= rows[0].due, { timeoutMs: 300_000, everyMs: 5 });
		await boss.offWork(queue, { wait: true });
		return { ms: performance.now() - startedAt, sent };
	},
};

export type BossCommands = typeof commands;

serve(commands, async () => {
	await boss.stop({ graceful: false });
	await plain.end();
	await database.close();
	await sender.close();
});
