import { setTimeout as pause } from "node:timers/promises";
import type { Context } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";

/** A task costs Postgres as much as storing a few webhooks, mostly to find that one is waiting already. */
const gapMs = 10;

/**
 * Returns a function that asks for an integration's webhooks to be applied, and does not wait for it. The first sends
 * its task at once; those of the next 10 ms share one. A lost one costs latency only: the sweep finds what waits.
 */
export function createIntegrationWaker(ctx: Pick<Context, "tasks" | "log">): (id: IntegrationId) => void {
	/** Integrations whose task is being sent, and whether more came meanwhile. */
	const sending = new Map<IntegrationId, { again: boolean }>();
	const wake = (id: IntegrationId): void => {
		const busy = sending.get(id);
		if (busy) {
			busy.again = true;
			return;
		}
		const state = { again: false };
		sending.set(id, state);
		ctx.tasks
			.send("inbound.apply", { integrationId: id }, { singletonKey: id })
			.catch((error: unknown) =>
				ctx.log.warn({ integration_id: id, err: error }, "a webhook's task was not sent"),
			)
			.finally(async () => {
				await pause(gapMs);
				sending.delete(id);
				if (state.again) wake(id);
			});
	};
	return wake;
}
