import { until } from "../support/until.ts";
import type { Story } from "./story.ts";

/** How often each event is refused before the receiver comes back. */
const refusalsEach = 2;

/**
 * The receiver answers 503 while events are published, and comes back after each was refused twice. Waits until
 * every delivery is delivered.
 */
export async function surviveOutage(story: Story, endpointId: string, count: number) {
	const { call, receiver, organizationId } = story;
	receiver.breakDown();
	const published = await call("POST", `/v1/organizations/${organizationId}/events`, {
		body: { events: Array.from({ length: count }, (_, index) => event(index)) },
		expect: 202,
	});
	const ids: string[] = published.events.map((each: { id: string }) => each.id);
	await until(() => ids.every((id) => arrivalsOf(story, id, 503) >= refusalsEach), {
		what: `${refusalsEach} refused attempts of each event`,
	});
	const refused = ids.reduce((sum, id) => sum + arrivalsOf(story, id, 503), 0);
	receiver.recover();
	await until(() => ids.every((id) => arrivalsOf(story, id, 200) >= 1), {
		what: "an accepted attempt of each event",
	});
	const deliveries = await endOfDeliveries(story, endpointId, new Set(ids));
	return {
		refused,
		delivered: deliveries.filter((each) => each.state === "delivered").length,
		attemptsMin: Math.min(...deliveries.map((each) => each.attempts)),
		attemptsMax: Math.max(...deliveries.map((each) => each.attempts)),
		acceptedTwice: ids.filter((id) => arrivalsOf(story, id, 200) > 1).length,
	};
}

function event(index: number) {
	return { type: "backup.completed", data: { backup: index, label: "größer als ☃" } };
}

function arrivalsOf({ receiver }: Story, eventId: string, answered: number): number {
	return receiver.arrivals.filter((each) => each.eventId === eventId && each.answered === answered).length;
}

type Delivery = { event_id: string; state: string; attempts: number };

/** What the API says of these events' deliveries once none is pending. */
function endOfDeliveries(story: Story, endpointId: string, ids: Set<string>): Promise<Delivery[]> {
	const path = `/v1/organizations/${story.organizationId}/webhook-endpoints/${endpointId}/deliveries`;
	return until(
		async () => {
			const { deliveries } = await story.call("GET", `${path}?limit=250&event_type=backup.completed`);
			const ours: Delivery[] = deliveries.filter((each: Delivery) => ids.has(each.event_id));
			return ours.length === ids.size && ours.every((each) => each.state !== "pending") ? ours : null;
		},
		{ everyMs: 100, what: "the end of each event's delivery" },
	);
}
