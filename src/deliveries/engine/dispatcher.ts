import { randomUUID } from "node:crypto";
import type { Log } from "../../core/log.ts";
import type { ClaimedDelivery, claimStore } from "./claim-store.ts";
import { createFlightBook, type FlightBook } from "./flight-book.ts";
import { type NotSent, type SendContext, sendDelivery } from "./send-delivery.ts";
import type { Settler } from "./settler.ts";

export type Dispatcher = {
	start(): void;
	/** There may be due deliveries now. */
	poke(): void;
	/** Claims nothing more, waits for what is in flight up to the given time, and gives the rest back. */
	stop(timeoutMs: number): Promise<void>;
	/** False when the loop has not come round for too long. */
	isAlive(): boolean;
	inFlight(): number;
};

type DispatcherOptions = SendContext & {
	claims: ReturnType<typeof claimStore>;
	settler: Settler;
	log: Log;
	/** Told of each delivery that is given back since it cannot be sent from here now. */
	onWithheld: (why: "trouble" | "sealed") => void;
	/** Requests in flight in this process. */
	concurrency: number;
	endpointConcurrency: number;
	/** Longer than an attempt can take, with the time to write its result. */
	leaseMs: number;
};

const lanesMax = 128;
/** How long the loop rests at most when nothing wakes it: a lost wake costs this, never an event. */
const restMaxMs = 1_000;
const restAfterErrorMs = 500;
/** Between claims while more is due, unless what was claimed ahead runs out before. */
const refillMs = 25;
/** Lets a few answers come in before the next claim, so that a claim takes many rows and not one. */
const gatherMs = 2;
/** How long the last results may take to be written when the process stops. */
const flushMaxMs = 5_000;
/** How long what we are to blame for not sending waits, and other deliveries to its endpoint here. */
const withheldMs = { trouble: 5_000, sealed: 60_000 };
/** Results not yet written, beyond which nothing more is claimed. */
const unsettledMax = 2_000;

/**
 * The loop of the engine: claims due deliveries a little ahead of the slots that fall free, sends them, and hands
 * their results to the settler. A hanging endpoint holds its own few slots and nothing else.
 */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
	const { concurrency, endpointConcurrency, settler, log } = options;
	const book = createFlightBook({ concurrency, endpointMax: endpointConcurrency });
	const bell = createBell();
	const flights = createFlights(options, book, bell);
	let running: Promise<void> | undefined;
	let turnedAt = performance.now();

	const loop = async () => {
		while (!bell.isOver()) {
			bell.heard();
			turnedAt = performance.now();
			let restMs = restAfterErrorMs;
			try {
				restMs = await turn(options, book, flights, bell);
			} catch (error) {
				log.warn({ err: error }, "due deliveries could not be claimed");
				bell.heard();
			}
			await bell.rest(restMs);
		}
	};

	return {
		start: () => {
			running ??= loop();
		},
		poke: bell.ring,
		stop: async (timeoutMs) => {
			bell.end();
			await running;
			await Promise.race([giveBack(options, book), timeout(flushMaxMs)]);
			await Promise.race([flights.landed(), timeout(timeoutMs)]);
			// What cannot be written, as while Postgres is away, ends with its lease.
			await Promise.race([settler.flush(), timeout(flushMaxMs)]);
		},
		isAlive: () => running !== undefined && performance.now() - turnedAt < 30_000,
		inFlight: book.inFlight,
	};
}

/** One turn: how long to rest before the next. */
async function turn(
	{ claims, settler, leaseMs, endpointConcurrency, log }: DispatcherOptions,
	book: FlightBook,
	flights: Flights,
	bell: Bell,
): Promise<number> {
	await claims.release(book.takeStale(performance.now()));
	const askedMs = performance.now();
	const limits = book.limits(askedMs);
	if (limits === null || settler.waiting() > unsettledMax) return refillMs;
	const claimed = await claims.claim(randomUUID(), {
		...limits,
		lanes: Math.min(lanesMax, limits.rows),
		endpointMax: endpointConcurrency,
		leaseMs,
	});
	const answeredMs = performance.now();
	if (book.hold(claimed, { askedMs, answeredMs }))
		log.warn(
			{ ms: Math.round(answeredMs - askedMs), rows: claimed.length },
			"claiming due deliveries is slow",
		);
	if (bell.isOver()) return 0;
	flights.launch();
	if (claimed.length > 0) return refillMs;
	return Math.min(restMaxMs, Math.max(1, (await claims.nextDueInMs()) ?? restMaxMs));
}

type Flights = { launch(): void; landed(): Promise<void> };

/** Sends what may go; each that lands makes room for the next. */
function createFlights(options: DispatcherOptions, book: FlightBook, bell: Bell): Flights {
	const flights = new Set<Promise<void>>();
	let isGathering = false;
	const gather = () => {
		if (isGathering) return;
		isGathering = true;
		setTimeout(() => {
			isGathering = false;
			bell.ring();
		}, gatherMs);
	};
	const launch = () => {
		if (bell.isOver()) return;
		const nowMs = performance.now();
		for (let delivery = book.next(nowMs); delivery; delivery = book.next(nowMs)) start(delivery);
	};
	const start = (delivery: ClaimedDelivery) => {
		const flight = fly(options, book, delivery).then((wasSent) => {
			flights.delete(flight);
			book.land(delivery, wasSent);
			launch();
			if (book.isRunningDry()) gather();
		});
		flights.add(flight);
	};
	return {
		launch,
		landed: async () => {
			await Promise.all(flights);
		},
	};
}

type Bell = ReturnType<typeof createBell>;

/** What ends the loop's rest. */
function createBell() {
	let isOver = false;
	let isRung = false;
	let wake: (() => void) | undefined;
	const ring = () => {
		isRung = true;
		wake?.();
	};
	return {
		ring,
		heard: () => {
			isRung = false;
		},
		end: () => {
			isOver = true;
			ring();
		},
		isOver: () => isOver,
		rest: async (ms: number) => {
			if (isRung || isOver) return;
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, ms);
				wake = () => {
					clearTimeout(timer);
					resolve();
				};
			});
			wake = undefined;
		},
	};
}

/** Whether there is a result. Never rejects. */
async function fly(
	options: DispatcherOptions,
	book: FlightBook,
	delivery: ClaimedDelivery,
): Promise<boolean> {
	const { claims, settler, log } = options;
	try {
		const result = await sendDelivery(options, delivery);
		if (!("notSent" in result)) {
			settler.add(result);
			return true;
		}
		if (result.notSent === "expired") await claims.expire([delivery]);
		else await withhold(options, book, delivery, result);
	} catch (error) {
		// Not the receiver's doing: the lease ends by itself and the attempt is closed as `unknown`.
		log.error({ err: error, delivery_id: delivery.id }, "a delivery could not be sent");
	}
	return false;
}

/** What cannot be given back, as while Postgres is away, is free when its lease ends: what is in flight goes on. */
async function giveBack({ claims, log }: DispatcherOptions, book: FlightBook): Promise<void> {
	const held = book.takeStale(Number.POSITIVE_INFINITY);
	try {
		await claims.release(held);
	} catch (error) {
		log.warn({ err: error, deliveries: held.length }, "deliveries could not be given back");
	}
}

/** What cannot be sent from here now cannot be sent a moment later either, nor can the next of its endpoint. */
async function withhold(
	{ claims, log, onWithheld }: DispatcherOptions,
	book: FlightBook,
	delivery: ClaimedDelivery,
	why: Exclude<NotSent, { notSent: "expired" }>,
): Promise<void> {
	const { endpointId } = delivery;
	const waitMs = withheldMs[why.notSent];
	const isNew = book.rest(endpointId, performance.now() + waitMs);
	onWithheld(why.notSent);
	if (isNew && why.notSent === "sealed")
		log.error({ err: why.error, endpoint_id: endpointId }, "an endpoint's secrets cannot be opened");
	await claims.release([delivery], waitMs);
}

async function timeout(ms: number): Promise<void> {
	await new Promise((resolve) => setTimeout(resolve, ms).unref());
}
