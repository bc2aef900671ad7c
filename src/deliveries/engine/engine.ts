import { randomUUID } from "node:crypto";
import { auditStore } from "../../audit/store.ts";
import type { Config } from "../../config.ts";
import type { Context } from "../../context.ts";
import type { Clock } from "../../core/clock.ts";
import { type EndpointId, timeOf } from "../../core/ids.ts";
import type { Log } from "../../core/log.ts";
import { createLoop } from "../../core/loop.ts";
import type { Tracing } from "../../core/tracing.ts";
import { publishStore } from "../../events/publish-store.ts";
import type { Database, DatabasePool } from "../../platform/db.ts";
import type { Tasks } from "../../platform/queue.ts";
import type { Sender } from "../../platform/sender.ts";
import type { SealedPlace, Vault } from "../../platform/vault.ts";
import { claimStore } from "./claim-store.ts";
import { createDispatcher } from "./dispatcher.ts";
import { failureStore } from "./failure-store.ts";
import { laneStore } from "./lane-store.ts";
import { type EngineStores, type SettleContext, settleResults, tellExhaustions } from "./settle-results.ts";
import { settleStore } from "./settle-store.ts";
import { createSettler, type Settler } from "./settler.ts";
import { signingKeys } from "./sign.ts";
import { createWaker } from "./waker.ts";

export type Engine = {
	start(): void;
	/** Runs the statements that sending needs, on nothing. Throws what the database refuses. */
	prove(): Promise<void>;
	/** Marks lanes as due and gets them served, here or on a replica that runs tasks. */
	wake(endpointIds: readonly EndpointId[]): void;
	/** Looks for due deliveries now. */
	poke(): void;
	stop(timeoutMs: number): Promise<void>;
	/** Carries out the wakes so far, also when it has stopped. */
	flushWakes(): Promise<void>;
	/** Each loop that runs here, and whether it goes round. */
	loops(): Record<string, boolean>;
	/** Attempts under way, and results that are not written yet. */
	load(): { inFlight: number; unsettled: number };
};

type EngineOptions = {
	config: Pick<Config, "webhook">;
	log: Log;
	meters: Pick<Context["meters"], "attempt" | "withheld">;
	tracing: Tracing;
	clock: Clock;
	vault: Vault;
	sender: Sender;
	enginePool: DatabasePool;
	/** Commits without waiting for the disk: a claim or a wake lost in a crash of Postgres is one not made. */
	claimPool: DatabasePool;
	/** Whether this process sends, or only publishes. */
	runs: boolean;
	/** Instead of the settler's own. */
	settleWindowMs?: number | undefined;
	queue: { tasks: Tasks<{ "deliveries.dispatch": Record<string, never> }> };
};

const settleMarginMs = 15_000;
/** What claims nothing. */
const noLimits = { rows: 0, lanes: 0, endpointMax: 0, busy: [], fullOrganizations: [], leaseMs: 0 };
const sweepMs = 5_000;
/** Through the queue each poke is a task, which costs Postgres as much as the publish itself. */
const remotePokeGapMs = 20;

/** Puts the parts of the delivery engine together. */
export function createEngine(options: EngineOptions): Engine {
	const { config, log, clock, tracing, vault, sender, enginePool, claimPool, runs, queue } = options;
	const settling: SettleContext = {
		stores: createEngineStores(enginePool),
		transaction: (work) => enginePool.transaction((within) => work(createEngineStores(within))),
		wake: (endpointIds) => waker.wake(endpointIds),
		clock,
		config,
		tracing,
	};
	const settler = createSettler({
		write: async (results) => {
			await settleResults(settling, results);
			// The loop may rest beyond the time that a retry was given just now.
			if (results.some(({ verdict }) => verdict.state === "pending")) dispatcher.poke();
		},
		log,
		windowMs: options.settleWindowMs,
	});
	const claims = claimStore(claimPool);
	const dispatcher = createDispatcher({
		sender,
		openKeys: openedOnce((sealed, place) => signingKeys(vault.open(sealed, place))),
		openHeaders: openedOnce((sealed, place) => headersIn(vault.open(sealed, place))),
		clock,
		tracing,
		log,
		settler: measured(settler, options),
		onWithheld: options.meters.withheld,
		claims,
		retryScheduleSeconds: config.webhook.retryScheduleSeconds,
		concurrency: config.webhook.concurrency,
		endpointConcurrency: config.webhook.endpointConcurrency,
		leaseMs: config.webhook.timeoutMs + settleMarginMs,
	});
	const lanes = laneStore(claimPool);
	const waker = createWaker({
		lanes,
		log,
		...(runs ? { poke: dispatcher.poke, pokeGapMs: 0 } : pokeThroughQueue(queue)),
	});
	const sweeping = createLoop({
		name: "delivery_sweep",
		everyMs: sweepMs,
		log,
		work: async () => {
			const found = await lanes.sweep();
			if (found > 0) log.info({ lanes: found }, "the sweep found lanes whose wake was lost");
			if (found > 0) dispatcher.poke();
			await tellExhaustions(settling);
		},
	});
	return {
		start: () => {
			if (!runs) return;
			dispatcher.start();
			sweeping.start();
		},
		prove: () => runEmpty(settling, claims, lanes),
		wake: waker.wake,
		poke: dispatcher.poke,
		stop: async (timeoutMs) => {
			sweeping.stop();
			await waker.flush();
			await dispatcher.stop(timeoutMs);
			await waker.flush();
		},
		flushWakes: waker.flush,
		loops: () => (runs ? { deliveries: dispatcher.isAlive(), delivery_sweep: sweeping.isAlive() } : {}),
		load: () => ({ inFlight: dispatcher.inFlight(), unsettled: settler.waiting() }),
	};
}

function pokeThroughQueue({ tasks }: EngineOptions["queue"]) {
	return { poke: () => tasks.send("deliveries.dispatch", {}), pokeGapMs: remotePokeGapMs };
}

/** Every statement that sending needs, with nothing to do. */
async function runEmpty(
	{ stores }: SettleContext,
	claims: ReturnType<typeof claimStore>,
	lanes: ReturnType<typeof laneStore>,
): Promise<void> {
	await claims.claim(randomUUID(), noLimits);
	await stores.settle.settle([]);
	await stores.failures.disableFailing([]);
	await lanes.sweep();
}

/** Counts each result on its way to the settler. */
function measured(settler: Settler, { meters }: Pick<EngineOptions, "meters">): Settler {
	return {
		...settler,
		add: (result) => {
			const { delivery, verdict, at, durationMs } = result;
			const isFirst = delivery.attempts === 1;
			meters.attempt({
				outcome: verdict.state === "delivered" ? "delivered" : verdict.errorCode,
				state: verdict.state,
				seconds: durationMs / 1000,
				delaySeconds: isFirst ? Math.max(0, at.getTime() - timeOf(delivery.id).getTime()) / 1000 : null,
			});
			settler.add(result);
		},
	};
}

function createEngineStores(database: Database): EngineStores {
	return {
		settle: settleStore(database),
		failures: failureStore(database),
		publish: publishStore(database),
		audit: auditStore(database),
	};
}

/** What the parser says of a text that is no JSON quotes it: the log is to hold no secret. */
function headersIn(text: string): Record<string, string> {
	try {
		return JSON.parse(text);
	} catch {
		throw new Error("An endpoint's opened headers are not JSON.");
	}
}

const openedMax = 5_000;

/** Keeps what was opened, so that a hot endpoint's secrets are not opened for each attempt. */
function openedOnce<Opened>(open: (sealed: string, place: SealedPlace) => Opened): typeof open {
	const opened = new Map<string, Opened>();
	return (sealed, place) => {
		const known = opened.get(sealed);
		if (known !== undefined) return known;
		const fresh = open(sealed, place);
		if (opened.size >= openedMax) opened.clear();
		opened.set(sealed, fresh);
		return fresh;
	};
}
