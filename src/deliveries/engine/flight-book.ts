import type { EndpointId, OrganizationId } from "../../core/ids.ts";
import type { ClaimedDelivery, ClaimLimits } from "./claim-store.ts";

/** Who has how many requests in flight, and what is claimed and waits for its turn to be sent. */
export type FlightBook = {
	/**
	 * Puts in line what the last claim took; what it says of its endpoints is as old as its question. True for a claim
	 * that took something so slowly that it is to be told of, once a minute at most.
	 */
	hold(deliveries: readonly ClaimedDelivery[], claim: { askedMs: number; answeredMs: number }): boolean;
	/** The next to be sent, counted as in flight from now on; undefined when none may go. */
	next(nowMs: number): ClaimedDelivery | undefined;
	/** What was not sent says nothing of what its endpoint can take. */
	land(delivery: ClaimedDelivery, wasSent: boolean): void;
	/** Leaves an endpoint alone for a while: the next claims take nothing of it. True unless it rests already. */
	rest(endpointId: EndpointId, untilMs: number): boolean;
	/** Takes those out that have waited too long to be sent as they are. */
	takeStale(nowMs: number): ClaimedDelivery[];
	/** What the next claim may take; null when there is no room. */
	limits(nowMs: number): Pick<ClaimLimits, "rows" | "busy" | "fullOrganizations"> | null;
	/** Fewer are waiting than will be sent shortly. */
	isRunningDry(): boolean;
	inFlight(): number;
};

type Room = { concurrency: number; endpointMax: number };

/** How much time's worth of deliveries is claimed ahead, judged by what was sent in the last such span. */
const aheadMs = 50;
const aheadMax = 500;
/** Short of the second within which an endpoint's changes take effect. */
const staleMs = 500;
/** A claim that took longer leaves little time for sending what it took. */
const slowMs = 250;
const slowToldMs = 60_000;
/**
 * A slow claim with larger payloads is followed by one for half as many rows. Of less it was not the rows that took
 * long: fewer would take as long, and be all that is sent meanwhile. `rowsMin` of the largest are no more than this.
 */
const heavyBytes = 4 * 1024 * 1024;
/** However slow its claim was, each delivery may be sent for this long: else none ever was where all claims are slow. */
const chanceMs = 100;
/** Not after a claim that was slower still: the lease, which began with it, has to outlast the attempt and its result. */
const latestMs = 5_000;
/** While slots are free, other lanes are looked at even if much is waiting. */
const rowsMin = 16;
/** An organization may hold at most this many times the slots that are free: no one can hold them all. */
const shareOfFree = 19;

type Tally = { inFlight: number; waiting: number; landed: number; landedBefore: number };
type Waiting = { delivery: ClaimedDelivery; atMs: number };
type Line = Tally & { endpointId: EndpointId; organization: Organization; held: Waiting[] };
type Organization = Tally & { id: OrganizationId; ready: Set<Line> };
type Book = Room & {
	total: Tally;
	lines: Map<EndpointId, Line>;
	organizations: Map<OrganizationId, Organization>;
	/** Organizations that have a line which may send, in turn. */
	turns: Set<Organization>;
	stale: ClaimedDelivery[];
	/** Endpoints that are left alone, and until when. */
	resting: Map<EndpointId, number>;
	spanBeganMs: number;
	/** What the last claim was allowed, and what the next may be: infinite unless payloads made claims slow. */
	rowsAsked: number;
	rowsMax: number;
	/** When a slow claim was last told of. */
	toldMs: number;
};

/**
 * A slot that falls free is filled at once from what was claimed ahead: for each endpoint about as much as it
 * answered in the last moments, so that one which hangs has nothing claimed ahead. Organizations take turns, and
 * then their endpoints.
 */
export function createFlightBook(room: Room): FlightBook {
	const book: Book = {
		...room,
		total: newTally(),
		lines: new Map(),
		organizations: new Map(),
		turns: new Set(),
		stale: [],
		resting: new Map(),
		spanBeganMs: 0,
		rowsAsked: rowsMin,
		rowsMax: Number.POSITIVE_INFINITY,
		toldMs: Number.NEGATIVE_INFINITY,
	};
	return {
		hold: (deliveries, { askedMs, answeredMs }) => {
			const tookMs = answeredMs - askedMs;
			const atMs = tookMs > latestMs ? askedMs : Math.max(askedMs, answeredMs - staleMs + chanceMs);
			for (const delivery of deliveries) hold(book, { delivery, atMs });
			boundRows(book, tookMs > slowMs && isHeavy(deliveries));
			const wasTold = answeredMs - book.toldMs < slowToldMs;
			if (tookMs <= slowMs || deliveries.length === 0 || wasTold) return false;
			book.toldMs = answeredMs;
			return true;
		},
		next: (nowMs) => next(book, nowMs),
		land: (delivery, wasSent) => land(book, delivery, wasSent),
		rest: (endpointId, untilMs) => {
			const isNew = !book.resting.has(endpointId);
			book.resting.set(endpointId, untilMs);
			return isNew;
		},
		takeStale: (nowMs) => takeStale(book, nowMs),
		limits: (nowMs) => limits(book, nowMs),
		isRunningDry: () => book.total.waiting * 2 <= pace(book.total),
		inFlight: () => book.total.inFlight,
	};
}

function newTally(): Tally {
	return { inFlight: 0, waiting: 0, landed: 0, landedBefore: 0 };
}

function hold(book: Book, waiting: Waiting): void {
	const { endpointId, organizationId } = waiting.delivery;
	const organization = book.organizations.get(organizationId) ?? {
		...newTally(),
		id: organizationId,
		ready: new Set(),
	};
	book.organizations.set(organizationId, organization);
	const line = book.lines.get(endpointId) ?? { ...newTally(), endpointId, organization, held: [] };
	book.lines.set(endpointId, line);
	line.held.push(waiting);
	change(book, line, "waiting", 1);
	queue(book, line);
}

/** Puts a line that may send at the end of its organization's, and the organization at the end of all. */
function queue({ endpointMax, turns }: Book, line: Line): void {
	if (line.held.length === 0 || line.inFlight >= endpointMax) return;
	line.organization.ready.add(line);
	turns.add(line.organization);
}

function change({ total }: Book, line: Line, what: keyof Tally, by: number): void {
	for (const tally of [total, line.organization, line]) tally[what] += by;
}

function isHeavy(deliveries: readonly ClaimedDelivery[]): boolean {
	return deliveries.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0) > heavyBytes;
}

/** Halves what is asked for next, or doubles it back until it is as much as ever. */
function boundRows(book: Book, isTooMuch: boolean): void {
	if (isTooMuch) book.rowsMax = Math.max(rowsMin, Math.floor(book.rowsAsked / 2));
	else if (book.rowsMax < book.concurrency + aheadMax) book.rowsMax *= 2;
	else book.rowsMax = Number.POSITIVE_INFINITY;
}

function next(book: Book, nowMs: number): ClaimedDelivery | undefined {
	const free = book.concurrency - book.total.inFlight;
	if (free <= 0) return undefined;
	for (const organization of book.turns) {
		if (organization.inFlight >= free * shareOfFree) continue;
		const [line] = organization.ready;
		const delivery = line && takeFresh(book, line, nowMs);
		book.turns.delete(organization);
		if (line) {
			organization.ready.delete(line);
			if (delivery) change(book, line, "inFlight", 1);
			queue(book, line);
		}
		if (organization.ready.size > 0) book.turns.add(organization);
		if (delivery) return delivery;
	}
	return undefined;
}

function takeFresh(book: Book, line: Line, nowMs: number): ClaimedDelivery | undefined {
	for (let first = line.held.shift(); first; first = line.held.shift()) {
		change(book, line, "waiting", -1);
		if (nowMs - first.atMs < staleMs) return first.delivery;
		book.stale.push(first.delivery);
	}
	return undefined;
}

function land(book: Book, { endpointId }: ClaimedDelivery, wasSent: boolean): void {
	const line = book.lines.get(endpointId);
	if (!line) return;
	change(book, line, "inFlight", -1);
	if (wasSent) change(book, line, "landed", 1);
	queue(book, line);
}

function takeStale(book: Book, nowMs: number): ClaimedDelivery[] {
	for (const line of book.lines.values()) {
		const fresh = line.held.findIndex(({ atMs }) => nowMs - atMs < staleMs);
		const old = line.held.splice(0, fresh === -1 ? line.held.length : fresh);
		change(book, line, "waiting", -old.length);
		book.stale.push(...old.map(({ delivery }) => delivery));
		if (line.held.length === 0) line.organization.ready.delete(line);
	}
	return book.stale.splice(0);
}

function limits(book: Book, nowMs: number) {
	if (nowMs - book.spanBeganMs >= aheadMs) turnSpan(book, nowMs);
	const { concurrency, endpointMax, total } = book;
	const free = concurrency - total.inFlight;
	const wanted = free + pace(total) - total.waiting;
	if (free <= 0 && wanted <= 0) return null;
	for (const [endpointId, untilMs] of book.resting) if (untilMs <= nowMs) book.resting.delete(endpointId);
	// A line far from its bound needs none in the claim: what comes above it waits here.
	const busy = [...book.lines.values()]
		.map((line) => ({
			endpointId: line.endpointId,
			free: endpointMax - line.inFlight - line.waiting + pace(line),
		}))
		.filter((line) => line.free < endpointMax / 2 || line.free > endpointMax)
		.filter(({ endpointId }) => !book.resting.has(endpointId))
		.map((line) => ({ ...line, free: Math.max(0, line.free) }));
	for (const endpointId of book.resting.keys()) busy.push({ endpointId, free: 0 });
	const full = [...book.organizations.values()].filter(
		(each) => each.inFlight + each.waiting >= free * shareOfFree + pace(each),
	);
	const fullOrganizations = full.map(({ id }) => id);
	book.rowsAsked = Math.min(book.rowsMax, Math.max(rowsMin, wanted));
	return { rows: book.rowsAsked, busy, fullOrganizations };
}

/** What was sent in a span, the present or the last one, is what the next is expected to send. */
function pace({ landed, landedBefore }: Tally): number {
	return Math.min(aheadMax, Math.max(landed, landedBefore));
}

function turnSpan(book: Book, nowMs: number): void {
	const isPast = nowMs - book.spanBeganMs >= 2 * aheadMs;
	book.spanBeganMs = nowMs;
	const turn = (tally: Tally): boolean => {
		tally.landedBefore = isPast ? 0 : tally.landed;
		tally.landed = 0;
		return tally.inFlight === 0 && tally.waiting === 0 && tally.landedBefore === 0;
	};
	turn(book.total);
	for (const line of book.lines.values()) if (turn(line)) book.lines.delete(line.endpointId);
	for (const each of book.organizations.values()) if (turn(each)) book.organizations.delete(each.id);
}
