import type { Config } from "../config.ts";
import type { Context } from "../context.ts";
import { nextWaitMs } from "../deliveries/engine/retry-schedule.ts";
import type { NewEvent } from "./event.ts";
import type { Published } from "./publish-store.ts";

/**
 * Publishes events together with their deliveries. Given a transaction, they exist only if it commits, and the
 * engine is woken after that; given the context, they are written at once.
 */
export async function publishEvents(
	on: Pick<Context, "wakeDeliveries" | "clock"> & {
		stores: Pick<Context["stores"], "publish">;
		config: Pick<Config, "webhook">;
	},
	events: readonly NewEvent[],
): Promise<Published["events"]> {
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
