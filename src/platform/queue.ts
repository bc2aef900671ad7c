import { sql } from "drizzle-orm";
import { fromDrizzle, type Job, PgBoss, type Queue as QueueSettings, type WipData } from "pg-boss";
import type { Log } from "../core/log.ts";
import { type SpanStart, type TraceHeaders, type Tracing, traced } from "../core/tracing.ts";
import type { Database } from "./db.ts";

export type SendOptions = {
	/** Seconds from now. */
	startAfterSeconds?: number;
	/** Of tasks with one key, one runs at a time; the policy `short` lets one of them wait at most. */
	singletonKey?: string;
	/** Those that wait under the key are moved to this one's time. Else this one is dropped when one waits. */
	movesWaiting?: boolean;
};

/** Sends tasks; bound to the pool or to one transaction. */
export type Tasks<TaskData> = {
	send<Name extends keyof TaskData & string>(
		name: Name,
		data: TaskData[Name] & object,
		options?: SendOptions,
	): Promise<void>;
};

export type TaskWorker = {
	queue: Omit<QueueSettings, "name">;
	/** How many run at once in this process. */
	concurrency: number;
	/** A cron expression, where the task also runs by itself. */
	schedule?: string;
	handle(data: unknown, signal: AbortSignal): Promise<void>;
};

export type Queue<TaskData> = {
	tasks: Tasks<TaskData>;
	/** The same, inside one transaction: what it sends exists only if that commits. */
	within(transaction: Database): Tasks<TaskData>;
	start(workers: Record<keyof TaskData & string, TaskWorker>): Promise<void>;
	/** Takes no new tasks and waits for those that run, up to the given time; then their signals abort. */
	stop(timeoutMs: number): Promise<void>;
	/** Ends the sending too. */
	close(): Promise<void>;
	/** Whether every worker here runs a task or has asked for one of late. */
	isAlive(): boolean;
};

type QueueOptions = {
	url: string;
	log: Log;
	connectionsMax: number;
	runsTasks: boolean;
	/** Told of every task that is worked on here. */
	onWorker(name: string): void;
	/** Told of every one that ended here. */
	onTask(name: string, outcome: "done" | "failed"): void;
	tracing: Tracing;
};

const quietMaxMs = 30_000;
/** Handed on to the driver. A connection that does not answer for so long is closed; pg-boss waits for ever. */
const forItsPool = { query_timeout: 35_000 };

/** The pg-boss adapter. Tables live in schema `pgboss` of the control database. */
export function createQueue<TaskData>(options: QueueOptions): Queue<TaskData> {
	const boss = new PgBoss({
		connectionString: options.url,
		application_name: "capydb-queue",
		max: options.connectionsMax,
		...forItsPool,
		useListenNotify: options.runsTasks,
		supervise: options.runsTasks,
		schedule: options.runsTasks,
		superviseIntervalSeconds: 5,
		monitorIntervalSeconds: 5,
		// A queue of the policy `singleton` passes over the keys that ran when this was last read.
		queueCacheIntervalSeconds: 1,
		persistWarnings: true,
		persistQueueStats: true,
	});
	let isClosed = false;
	boss.on("error", (error) => {
		// Its connections may still be closing when it has stopped, and Postgres go first.
		if (!isClosed) options.log.warn({ err: error }, "the queue reported an error");
	});
	boss.on("warning", (warning) => options.log.warn({ warning: warning.message }, "the queue warned"));
	let running = false;
	const send = (db: ReturnType<typeof fromDrizzle> | undefined): Tasks<TaskData> => ({
		send: async (name, data, { startAfterSeconds, singletonKey, movesWaiting } = {}) => {
			const within = db === undefined ? {} : { db };
			const startAfter = Math.ceil(startAfterSeconds ?? 0);
			await boss.send(name, withTrace(data, options.tracing), {
				startAfter,
				...(singletonKey === undefined ? {} : { singletonKey, group: { id: singletonKey } }),
				...within,
			});
			if (movesWaiting && singletonKey !== undefined) {
				// All: beside the one that the policy `short` lets wait there may be some that are to be retried.
				await boss.update(name, undefined, { singletonKey, match: "all", startAfter, ...within });
			}
		},
	});
	return {
		tasks: send(undefined),
		within: (transaction) => send(fromDrizzle(transaction.orm, sql)),
		start: async (workers) => {
			await boss.start();
			for (const [name, worker] of Object.entries<TaskWorker>(workers)) {
				await createOrUpdateQueue(boss, name, worker.queue);
				if (options.runsTasks) await startWorker(boss, name, worker, options);
			}
			running = true;
		},
		stop: async (timeoutMs) => {
			running = false;
			await boss.stop({ graceful: true, timeout: timeoutMs, close: false });
		},
		close: async () => {
			await boss.stop({ close: true });
			isClosed = true;
		},
		isAlive: () => running && boss.getWipData({ includeInternal: true }).every(isPolling),
	};
}

/** A fetch that fails counts as one, so that an outage of the database is not taken for a dead worker. */
function isPolling({
	state,
	count,
	createdOn,
	lastFetchedOn,
	lastJobEndedOn,
	lastErrorOn,
}: WipData): boolean {
	const lastAt = Math.max(createdOn, lastFetchedOn ?? 0, lastJobEndedOn ?? 0, lastErrorOn ?? 0);
	return state === "active" && (count > 0 || Date.now() - lastAt < quietMaxMs);
}

/** Makes pg-boss's schema without running anything. */
export async function installQueue(url: string): Promise<void> {
	const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false });
	boss.on("error", () => undefined);
	await boss.start();
	await boss.stop({ graceful: false });
}

async function createOrUpdateQueue(
	boss: PgBoss,
	name: string,
	settings: Omit<QueueSettings, "name">,
): Promise<void> {
	const { policy: _policy, partition: _partition, deadLetter: _deadLetter, ...changeable } = settings;
	if (await boss.getQueue(name)) await boss.updateQueue(name, changeable);
	else await boss.createQueue(name, settings);
}

async function startWorker(
	boss: PgBoss,
	name: string,
	worker: TaskWorker,
	{ log, onWorker, onTask, tracing }: Pick<QueueOptions, "log" | "onWorker" | "onTask" | "tracing">,
): Promise<void> {
	onWorker(name);
	const handle = async ([task]: Job<Traceable>[]) => {
		if (!task) return;
		const startedAt = performance.now();
		const { trace, ...data } = task.data ?? {};
		try {
			await traced(
				tracing,
				() => spanOf(name, task.id, trace),
				() => worker.handle(data, task.signal),
			);
			onTask(name, "done");
			log.debug({ task: name, ms: Math.round(performance.now() - startedAt) }, "task done");
		} catch (error) {
			onTask(name, "failed");
			log.warn({ task: name, id: task.id, retry: task.retryCount, err: error }, "task failed");
			throw error;
		}
	};
	await boss.work(
		name,
		{
			batchSize: 1,
			localConcurrency: worker.concurrency,
			pollingIntervalSeconds: 1,
			notifyPollingIntervalSeconds: 2,
			// One for each key, counted by the rows.
			groupConcurrency: 1,
		},
		handle,
	);
	if (worker.schedule) await boss.schedule(name, worker.schedule, {}, { missed: "once" });
}

/** A task continues the trace of who sent it. */
type Traceable = { trace?: TraceHeaders };

function withTrace(data: object, tracing: Tracing): object & Traceable {
	const trace = tracing.headers();
	return Object.keys(trace).length === 0 ? data : { ...data, trace };
}

function spanOf(name: string, id: string, trace: TraceHeaders | undefined): SpanStart {
	return {
		name: `process ${name}`,
		kind: "consumer",
		attributes: {
			"messaging.system": "pg-boss",
			"messaging.operation.name": "process",
			"messaging.operation.type": "process",
			"messaging.destination.name": name,
			"messaging.message.id": id,
		},
		parent: trace ?? "none",
	};
}
