import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { EventId, OrganizationId } from "../core/ids.ts";
import type { Delivery } from "../deliveries/delivery.ts";
import type { WebhookEvent } from "./event.ts";

/** As many as an organization has endpoints at most: more can only be redeliveries. */
const deliveriesMax = 1_000;

/** An event with its newest 1,000 deliveries, first to last. */
export async function getEvent(
	ctx: Pick<Context, "stores">,
	input: { organizationId: OrganizationId; eventId: EventId },
): Promise<{ event: WebhookEvent; deliveries: Delivery[] }> {
	const [event, deliveries] = await Promise.all([
		ctx.stores.events.find(input.organizationId, input.eventId),
		ctx.stores.deliveries.listOfEvent(input.eventId, deliveriesMax),
	]);
	if (!event) throw notFound("event");
	return { event, deliveries: deliveries.toReversed() };
}
