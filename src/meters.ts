import type { DeliveryBacklog } from "./deliveries/backlog-store.ts";
import type { Metrics } from "./platform/metrics.ts";

/** What is counted where it happens. Every label is from a closed list. */
export type Meters = ReturnType<typeof createMeters>;

/** Every counter and histogram of the server. */
export function createMeters(metrics: Metrics) {
	const requests = metrics.counter("capydb_http_requests_total", "Requests answered.", [
		"method",
		"route",
		"status",
	]);
	const requestSeconds = metrics.histogram("capydb_http_request_duration_seconds", "Time to answer.", [
		"method",
		"route",
	]);
	const jobAttempts = metrics.counter("capydb_job_attempts_total", "Attempts of jobs.", ["type", "outcome"]);
	const jobSeconds = metrics.histogram("capydb_job_attempt_duration_seconds", "Time of a job's attempt.", [
		"type",
	]);
	const tasks = metrics.counter("capydb_tasks_total", "Tasks of the queue that ended.", ["task", "outcome"]);
	const inbound = metrics.counter("capydb_inbound_webhooks_total", "What providers posted.", [
		"provider",
		"verdict",
	]);
	const shed = metrics.counter("capydb_shed_requests_total", "Answered 503 for want of capacity.", ["scope"]);
	return {
		...createDeliveryMeters(metrics),
		request: (labels: { method: string; route: string; status: string }, seconds: number) => {
			requests(labels);
			requestSeconds({ method: labels.method, route: labels.route }, seconds);
		},
		jobAttempt: (type: string, outcome: "completed" | "retried" | "failed", seconds: number) => {
			jobAttempts({ type, outcome });
			jobSeconds({ type }, seconds);
		},
		task: (task: string, outcome: "done" | "failed") => tasks({ task, outcome }),
		/** Shows a task that may end here before it does: the first failure of an unknown series is no increase. */
		expectTask: (task: string) => {
			for (const outcome of ["done", "failed"]) tasks({ task, outcome }, 0);
		},
		inbound: (provider: string, verdict: string) => inbound({ provider, verdict }),
		shed: (scope: "api" | "inbound") => shed({ scope }),
	};
}

function createDeliveryMeters(metrics: Metrics) {
	const attempts = metrics.counter("capydb_delivery_attempts_total", "Attempts that ended.", ["outcome"]);
	const attemptSeconds = metrics.histogram(
		"capydb_delivery_attempt_duration_seconds",
		"Time of an attempt.",
		[],
	);
	const ended = metrics.counter("capydb_deliveries_ended_total", "Deliveries that came to their end.", [
		"state",
	]);
	const withheld = metrics.counter(
		"capydb_deliveries_withheld_total",
		"Given back since this process could not send them: trouble (of files, ports or memory) or sealed secrets.",
		["reason"],
	);
	const firstAttempt = metrics.histogram(
		"capydb_delivery_first_attempt_delay_seconds",
		"From a delivery's creation to its first attempt; what an inactive endpoint waited counts in.",
		[],
	);
	return {
		attempt: (attempt: {
			outcome: string;
			state: "delivered" | "failed" | "pending";
			seconds: number;
			/** Of a first attempt, since the delivery's creation. */
			delaySeconds: number | null;
		}) => {
			attempts({ outcome: attempt.outcome });
			attemptSeconds({}, attempt.seconds);
			if (attempt.state !== "pending") ended({ state: attempt.state });
			if (attempt.delaySeconds !== null) firstAttempt({}, attempt.delaySeconds);
		},
		withheld: (reason: "trouble" | "sealed") => withheld({ reason }),
	};
}

/** What waits, as it was last read from the database. */
export type Backlog = {
	deliveries: DeliveryBacklog;
	jobs: readonly { state: string; count: number; oldestSeconds: number }[];
	inbound: { count: number; oldestSeconds: number };
	/** How long the partitions of the growing tables will do; less than nothing when they are at their end. */
	partitionsAheadSeconds: number;
};

/** Where the gauges are read at each scrape. */
export type Gauges = {
	backlog(): { ageSeconds: number; value: Backlog } | null;
	engine(): { inFlight: number; slots: number; unsettled: number };
	pools(): Record<string, { total: number; idle: number; waiting: number; oldestWaitMs: number }>;
	batches(): readonly { name: string; waiting: number; oldestWaitMs: number }[];
	loops(): Record<string, boolean>;
	eventLoopDelayMs(): number;
};

type Reading = { labels: Record<string, string>; value: number };

/** Every gauge of the server. Those of the backlog are of the whole database: each replica shows the same. */
export function watchGauges(metrics: Metrics, gauges: Gauges): void {
	const one = (name: string, help: string, read: () => number) =>
		metrics.gauge(name, help, [], () => [{ labels: {}, value: read() }]);
	const many = (name: string, help: string, labels: readonly string[], read: () => readonly Reading[]) =>
		metrics.gauge(name, help, labels, read);
	const ofPools =
		(read: (name: string, pool: ReturnType<Gauges["pools"]>[string]) => readonly Reading[]) => () =>
			Object.entries(gauges.pools()).flatMap(([name, pool]) => read(name, pool));

	one("capydb_delivery_in_flight", "Attempts under way in this process.", () => gauges.engine().inFlight);
	one("capydb_delivery_slots", "Attempts that may be under way at once.", () => gauges.engine().slots);
	one("capydb_delivery_unsettled", "Results not written yet.", () => gauges.engine().unsettled);
	one(
		"capydb_event_loop_delay_seconds",
		"How late the event loop comes round.",
		() => gauges.eventLoopDelayMs() / 1000,
	);
	many("capydb_loop_alive", "1 while a loop of this process goes round.", ["loop"], () =>
		Object.entries(gauges.loops()).map(([loop, alive]) => ({ labels: { loop }, value: alive ? 1 : 0 })),
	);
	many(
		"capydb_db_connections",
		"Connections to the database.",
		["pool", "state"],
		ofPools((pool, { total, idle }) => [
			{ labels: { pool, state: "idle" }, value: idle },
			{ labels: { pool, state: "used" }, value: total - idle },
		]),
	);
	many(
		"capydb_db_waiting",
		"Callers that wait for a connection.",
		["pool"],
		ofPools((pool, { waiting }) => [{ labels: { pool }, value: waiting }]),
	);
	many(
		"capydb_db_oldest_wait_seconds",
		"How long the first of them has waited.",
		["pool"],
		ofPools((pool, { oldestWaitMs }) => [{ labels: { pool }, value: oldestWaitMs / 1000 }]),
	);
	watchBatches(many, gauges.batches);
	watchBacklog(many, gauges.backlog);
}

type AddGauge = (
	name: string,
	help: string,
	labels: readonly string[],
	read: () => readonly Reading[],
) => void;

function watchBatches(gauge: AddGauge, read: Gauges["batches"]): void {
	gauge("capydb_batch_waiting", "Callers whose work is done together, not begun yet.", ["batch"], () =>
		read().map(({ name, waiting }) => ({ labels: { batch: name }, value: waiting })),
	);
	gauge("capydb_batch_oldest_wait_seconds", "How long the first of them has waited.", ["batch"], () =>
		read().map(({ name, oldestWaitMs }) => ({ labels: { batch: name }, value: oldestWaitMs / 1000 })),
	);
}

function watchBacklog(gauge: AddGauge, read: Gauges["backlog"]): void {
	const one = (name: string, help: string, pick: (backlog: Backlog, ageSeconds: number) => number) =>
		gauge(name, help, [], () => {
			const backlog = read();
			return backlog === null ? [] : [{ labels: {}, value: pick(backlog.value, backlog.ageSeconds) }];
		});
	const ofJobs = (pick: (job: Backlog["jobs"][number]) => number) => () =>
		(read()?.value.jobs ?? []).map((job) => ({ labels: { state: job.state }, value: pick(job) }));

	one("capydb_backlog_age_seconds", "How old what follows is.", (_, ageSeconds) => ageSeconds);
	one("capydb_deliveries_due", "Due deliveries, counted to 10,000.", ({ deliveries }) => deliveries.due);
	one("capydb_delivery_lanes_due", "Endpoints with due deliveries.", ({ deliveries }) => deliveries.lanes);
	one(
		"capydb_delivery_oldest_due_seconds",
		"How long the oldest due delivery has waited.",
		({ deliveries }) => deliveries.oldestSeconds,
	);
	one("capydb_inbound_waiting", "Received, not applied; counted to 10,000.", ({ inbound }) => inbound.count);
	one(
		"capydb_inbound_oldest_seconds",
		"How long the oldest of them has waited.",
		({ inbound }) => inbound.oldestSeconds,
	);
	one(
		"capydb_partitions_ahead_seconds",
		"From now to the end of the last partition, of the table where that is least.",
		({ partitionsAheadSeconds }) => partitionsAheadSeconds,
	);
	gauge(
		"capydb_jobs",
		"Jobs that have not ended.",
		["state"],
		ofJobs(({ count }) => count),
	);
	gauge(
		"capydb_job_oldest_seconds",
		"Since the last change of the job in that state that changed longest ago.",
		["state"],
		ofJobs(({ oldestSeconds }) => oldestSeconds),
	);
}
