import { describe, expect, it } from "vitest";
import { type EndpointId, newId, type OrganizationId } from "../../src/core/ids.ts";
import type { ClaimedDelivery } from "../../src/deliveries/engine/claim-store.ts";
import { createFlightBook, type FlightBook } from "../../src/deliveries/engine/flight-book.ts";

const endpointMax = 4;

describe("what is claimed ahead", () => {
	it("is as much as the endpoint answered in the last moments, and nothing of one that hangs", () => {
		const book = createFlightBook({ concurrency: 100, endpointMax });
		const [quick, hanging] = [claimed(), claimed()];
		book.limits(1_000);
		book.hold([...quick, ...hanging], at(1_000));
		const sent = launch(book, 1_000);
		for (const delivery of sent) if (delivery.endpointId === quick[0]?.endpointId) book.land(delivery, true);
		const limits = book.limits(1_060);
		expect(limits?.busy).toEqual([
			{ endpointId: quick[0]?.endpointId, free: 2 * endpointMax },
			{ endpointId: hanging[0]?.endpointId, free: 0 },
		]);
		expect(limits?.rows).toBe(100 - endpointMax + endpointMax);
	});

	it("is given back unsent when it has waited for half a second", () => {
		const book = createFlightBook({ concurrency: 100, endpointMax });
		const deliveries = claimed({ count: endpointMax + 2 });
		book.hold(deliveries, at(1_000));
		const sent = launch(book, 1_000);
		expect(sent).toEqual(deliveries.slice(0, endpointMax));
		expect(book.takeStale(1_499)).toEqual([]);
		for (const delivery of sent) book.land(delivery, true);
		expect(launch(book, 1_500), "none is sent with what is known of its endpoint by then").toEqual([]);
		expect(book.takeStale(1_500)).toEqual(deliveries.slice(endpointMax));
		expect(book.takeStale(9_000), "each once").toEqual([]);
	});

	it("is sent in turns of the organizations, however much one of them has", () => {
		const book = createFlightBook({ concurrency: 20, endpointMax });
		const crowd = newId("org");
		const flood = Array.from({ length: 10 }, () => claimed({ organizationId: crowd })).flat();
		const quiet = claimed({ count: 2 });
		book.hold([...flood, ...quiet], at(1_000));
		const first = launch(book, 1_000).slice(0, 4);
		expect(first.filter((delivery) => quiet.includes(delivery))).toEqual(quiet);
	});

	it("leaves slots free for others where one organization could take them all", () => {
		const book = createFlightBook({ concurrency: 20, endpointMax });
		const crowd = newId("org");
		book.hold(Array.from({ length: 10 }, () => claimed({ organizationId: crowd })).flat(), at(1_000));
		expect(launch(book, 1_000)).toHaveLength(19);
		expect(book.limits(1_000)?.fullOrganizations).toEqual([crowd]);
		book.hold(claimed({ count: 1 }), at(1_000));
		expect(launch(book, 1_000)).toHaveLength(1);
	});
});

describe("an endpoint that a trouble of our own kept from being sent to", () => {
	it("is left alone for as long as was said, and what was not sent counts as no pace", () => {
		const book = createFlightBook({ concurrency: 100, endpointMax });
		const deliveries = claimed();
		const [{ endpointId }] = deliveries as [ClaimedDelivery];
		book.limits(1_000);
		book.hold(deliveries, at(1_000));
		for (const delivery of launch(book, 1_000)) book.land(delivery, false);
		expect(book.rest(endpointId, 6_000)).toBe(true);
		expect(book.rest(endpointId, 6_000), "it rests already").toBe(false);
		expect(book.limits(1_060)).toEqual({
			rows: 100,
			busy: [{ endpointId, free: 0 }],
			fullOrganizations: [],
		});
		expect(book.limits(5_999)?.busy).toEqual([{ endpointId, free: 0 }]);
		expect(book.limits(6_000)?.busy).toEqual([]);
	});
});

describe("what a slow claim took", () => {
	const hold = (book: FlightBook, tookMs: number, deliveries = claimed({ count: endpointMax + 2 })) => {
		book.hold(deliveries, { askedMs: 1_000, answeredMs: 1_000 + tookMs });
		return deliveries;
	};

	it("may be sent for a moment, however old it is by then, and is given back after that", () => {
		const book = createFlightBook({ concurrency: 100, endpointMax });
		const deliveries = hold(book, 4_000);
		const sent = launch(book, 5_000);
		expect(sent).toEqual(deliveries.slice(0, endpointMax));
		for (const delivery of sent) book.land(delivery, true);
		expect(book.takeStale(5_099)).toEqual([]);
		expect(launch(book, 5_100)).toEqual([]);
		expect(book.takeStale(5_100)).toEqual(deliveries.slice(endpointMax));
	});

	it("is not sent where its lease could end during the attempt", () => {
		const book = createFlightBook({ concurrency: 100, endpointMax });
		const deliveries = hold(book, 5_001);
		expect(launch(book, 6_001)).toEqual([]);
		expect(book.takeStale(6_001)).toEqual(deliveries);
	});

	it("makes the next ask for half as much, down to 16, if its payloads were large, until claims are quick again", () => {
		const book = createFlightBook({ concurrency: 100, endpointMax });
		const payload = "x".repeat(300 * 1024);
		const asked = (tookMs: number) => {
			const rows = book.limits(1_000)?.rows ?? 0;
			hold(book, tookMs, claimed({ count: rows, payload }));
			book.takeStale(Number.POSITIVE_INFINITY);
			return rows;
		};
		expect([1, 2, 3, 4, 5].map(() => asked(251))).toEqual([100, 50, 25, 16, 16]);
		expect([1, 2, 3, 4, 5].map(() => asked(250))).toEqual([16, 32, 64, 100, 100]);
	});

	it("makes the next ask for no less if its payloads were small", () => {
		const book = createFlightBook({ concurrency: 100, endpointMax });
		const before = book.limits(1_000)?.rows ?? 0;
		hold(book, 4_000, claimed({ count: before, payload: "x".repeat(40 * 1024) }));
		book.takeStale(Number.POSITIVE_INFINITY);
		expect(book.limits(1_000)?.rows).toBe(before);
	});

	it("is told of once a minute, unless it took nothing", () => {
		const book = createFlightBook({ concurrency: 100, endpointMax });
		const isTold = (askedMs: number, tookMs: number, count = 1) =>
			book.hold(claimed({ count }), { askedMs, answeredMs: askedMs + tookMs });
		expect(isTold(500, 251, 0)).toBe(false);
		expect(isTold(1_000, 250)).toBe(false);
		expect(isTold(1_000, 251)).toBe(true);
		expect(isTold(2_000, 251)).toBe(false);
		expect(isTold(61_000, 250)).toBe(false);
		expect(isTold(61_000, 251)).toBe(true);
	});
});

/** Of a claim that took no time. */
function at(nowMs: number) {
	return { askedMs: nowMs, answeredMs: nowMs };
}

/** All that may go now. */
function launch(book: FlightBook, nowMs: number): ClaimedDelivery[] {
	const sent: ClaimedDelivery[] = [];
	for (let delivery = book.next(nowMs); delivery; delivery = book.next(nowMs)) sent.push(delivery);
	return sent;
}

/** Deliveries of one endpoint. */
function claimed({
	organizationId = newId("org"),
	count = endpointMax,
	payload = "{}",
}: {
	organizationId?: OrganizationId;
	count?: number;
	payload?: string;
} = {}): ClaimedDelivery[] {
	const endpointId: EndpointId = newId("whe");
	return Array.from({ length: count }, () => ({
		id: newId("whd"),
		organizationId,
		endpointId,
		eventId: newId("evt"),
		eventType: "order.paid",
		claimId: crypto.randomUUID(),
		attempts: 1,
		maxAttempts: 8,
		payload,
		url: "https://receiver.test/",
		headers: {},
		secretHeaders: null,
		secrets: [],
	}));
}
