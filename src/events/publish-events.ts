import type { Config } from "../config.ts";
import type { Context } from "../context.ts";
import { type SpanStart, traced } from "../core/tracing.ts";
import { nextWaitMs } from "../deliveries/engine/retry-schedule.ts";
import type { NewEvent, WebhookEvent } from "./event.ts";

type Publishing = Pick<Context, "wakeDeliveries" | "clock"> & {
	stores: Pick<Context["stores"], "publish">;
	config: Pick<Config, "webhook">;
};

/**
 * Publishes events together with their deliveries. Given a transaction, they exist only if it commits, and the
 * engine is woken after that; given the context, they are written at once.
 */
export async function publishEvents(
	on: Publishing & Pick<Context, "tracing">,
	events: readonly NewEvent[],
): Promise<WebhookEvent[]> {
	return tracePublishing(on, events, () => writeEvents(on, events));
}

/** Writes events in the span of whoever publishes them. Server and caller see the event's id in it, for a lone one. */
export async function tracePublishing(
	{ tracing }: Pick<Context, "tracing">,
	events: readonly NewEvent[],
	write: () => Promise<WebhookEvent[]>,
): Promise<WebhookEvent[]> {
	return traced(
		tracing,
		() => publishSpan(events),
		async (span) => {
			const published = await write();
			span.set({ "capydb.deliveries": published.reduce((sum, event) => sum + event.deliveryCount, 0) });
			const [first, ...others] = published;
			if (first && others.length === 0) span.set({ "messaging.message.id": first.id });
			return published;
		},
	);
}

function publishSpan(events: readonly NewEvent[]): SpanStart {
	const [first, ...others] = events;
	return {
		name: "publish events",
		kind: "producer",
		attributes: {
			"messaging.system": "capydb",
			"messaging.operation.name": "publish",
			"messaging.operation.type": "send",
			"messaging.destination.name": "events",
			...(first && { "capydb.organization_id": first.organizationId }),
			...(first && others.length === 0
				? { "capydb.event_type": first.type }
				: { "messaging.batch.message_count": events.length }),
		},
	};
}

/** The same as `publishEvents` without a span of its own. */
export async function writeEvents(on: Publishing, events: readonly NewEvent[]): Promise<WebhookEvent[]> {
	const schedule = on.config.webhook.retryScheduleSeconds;
	const fresh = { attempts: 0, maxAttempts: schedule.length };
	const published = await on.stores.publish.publish(events, {
		maxAttempts: schedule.length,
		firstWaitMs: nextWaitMs(schedule, fresh, null, Math.random()) ?? 0,
		createdAt: on.clock.now(),
	});
	on.wakeDeliveries(published.endpointIds);
	return published.events;
}
