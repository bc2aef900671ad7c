import { randomUUID } from "node:crypto";
import type { EndpointId, OrganizationId } from "../../core/ids.ts";
import type { Log } from "../../core/log.ts";
import type { ClaimedDelivery, claimStore } from "./claim-store.ts";
import { type SendContext, sendDelivery } from "./send-delivery.ts";
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
/** Results not yet written, beyond which nothing more is claimed. */
const unsettledMax = 2_000;
/** An organization may hold at most this many times the slots that are free: no one can hold them all. */
const shareOfFree = 9;

/**
 * The loop of the engine: claims due deliveries as slots free up, sends them, and hands their results to the
 * settler. A hanging endpoint holds its own few slots and nothing else.
 */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
	const flying = createFlightBook(options.endpointConcurrency);
	let running: Promise<void> | undefined;
	let isStopping = false;
	let wake: (() => void) | undefined;
	let isPoked = false;
	let turnedAt = performance.now();

	const poke = () => {
		isPoked = true;
		wake?.();
	};

	const rest = async (ms: number) => {
		if (isPoked || isStopping) return;
		await new Promise<void>((resolve) => {
			const timer = setTimeout(resolve, ms);
			wake = () => {
				clearTimeout(timer);
				resolve();
			};
		});
		wake = undefined;
	};

	const launch = (delivery: ClaimedDelivery) => {
		flying.add(delivery);
		const flight = fly(options, delivery).finally(() => {
			flying.remove(delivery, flight);
			poke();
		});
		flying.track(flight);
	};

	/** One turn: how long to rest before the next. */
	const turn = async (): Promise<number> => {
		const free = options.concurrency - flying.count();
		if (free <= 0 || options.settler.waiting() > unsettledMax) return restMaxMs;
		const claimed = await options.claims.claim(randomUUID(), {
			rows: free,
			lanes: Math.min(lanesMax, free),
			endpointMax: options.endpointConcurrency,
			busy: flying.busyEndpoints(),
			fullOrganizations: flying.fullOrganizations(free * shareOfFree),
			leaseMs: options.leaseMs,
		});
		if (isStopping) {
			await options.claims.release(claimed);
			return 0;
		}
		claimed.forEach(launch);
		if (claimed.length > 0) return 0;
		return Math.min(restMaxMs, Math.max(1, (await options.claims.nextDueInMs()) ?? restMaxMs));
	};

	const loop = async () => {
		while (!isStopping) {
			isPoked = false;
			turnedAt = performance.now();
			let restMs = restAfterErrorMs;
			try {
				restMs = await turn();
			} catch (error) {
				options.log.warn({ err: error }, "due deliveries could not be claimed");
				isPoked = false;
			}
			if (restMs > 0) await rest(restMs);
			else await gather(flying.count(), options.concurrency);
		}
	};

	return {
		start: () => {
			running ??= loop();
		},
		poke,
		stop: async (timeoutMs) => {
			isStopping = true;
			wake?.();
			await running;
			await Promise.race([flying.landed(), timeout(timeoutMs)]);
			await options.settler.flush();
		},
		isAlive: () => running !== undefined && performance.now() - turnedAt < 30_000,
		inFlight: flying.count,
	};
}

/** Lets a few answers come in before the next claim, so that a claim takes many rows and not one. */
async function gather(inFlight: number, concurrency: number): Promise<void> {
	await new Promise((resolve) =>
		inFlight * 2 < concurrency ? setImmediate(resolve) : setTimeout(resolve, 2),
	);
}

async function fly(options: DispatcherOptions, delivery: ClaimedDelivery): Promise<void> {
	try {
		const result = await sendDelivery(options, delivery);
		if (result === "not_sent") await options.claims.release([delivery]);
		else if (result === "expired") await options.claims.expire([delivery]);
		else options.settler.add(result);
	} catch (error) {
		// Not the receiver's doing: the lease ends by itself and the attempt is closed as `unknown`.
		options.log.error({ err: error, delivery_id: delivery.id }, "a delivery could not be sent");
	}
}

async function timeout(ms: number): Promise<void> {
	await new Promise((resolve) => setTimeout(resolve, ms).unref());
}

/** Who has how many requests in flight. */
function createFlightBook(endpointMax: number) {
	const byEndpoint = new Map<EndpointId, number>();
	const byOrganization = new Map<OrganizationId, number>();
	const flights = new Set<Promise<void>>();
	let count = 0;
	return {
		count: () => count,
		add: (delivery: ClaimedDelivery) => {
			count += 1;
			add(byEndpoint, delivery.endpointId, 1);
			add(byOrganization, delivery.organizationId, 1);
		},
		track: (flight: Promise<void>) => flights.add(flight),
		remove: (delivery: ClaimedDelivery, flight: Promise<void>) => {
			count -= 1;
			add(byEndpoint, delivery.endpointId, -1);
			add(byOrganization, delivery.organizationId, -1);
			flights.delete(flight);
		},
		busyEndpoints: () =>
			[...byEndpoint].map(([endpointId, inFlight]) => ({
				endpointId,
				free: Math.max(0, endpointMax - inFlight),
			})),
		fullOrganizations: (max: number) =>
			[...byOrganization].filter(([, inFlight]) => inFlight >= max).map(([organizationId]) => organizationId),
		landed: async () => {
			await Promise.all(flights);
		},
	};
}

function add<Key>(counts: Map<Key, number>, key: Key, change: number): void {
	const next = (counts.get(key) ?? 0) + change;
	if (next === 0) counts.delete(key);
	else counts.set(key, next);
}
