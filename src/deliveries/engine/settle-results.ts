import { recordAudit } from "../../audit/record-audit.ts";
import type { auditStore } from "../../audit/store.ts";
import type { Config } from "../../config.ts";
import type { Clock } from "../../core/clock.ts";
import type { EndpointId } from "../../core/ids.ts";
import { systemActor } from "../../core/principal.ts";
import type { Tracing } from "../../core/tracing.ts";
import type { NewEvent } from "../../events/event.ts";
import { operationalTypes } from "../../events/event-types.ts";
import { publishEvents } from "../../events/publish-events.ts";
import type { publishStore } from "../../events/publish-store.ts";
import type { DisabledEndpoint, failureStore } from "./failure-store.ts";
import { deliveryExhausted, endpointDisabled } from "./operational-event.ts";
import type { AttemptResult, settleStore } from "./settle-store.ts";

export type EngineStores = {
	settle: ReturnType<typeof settleStore>;
	failures: ReturnType<typeof failureStore>;
	publish: ReturnType<typeof publishStore>;
	audit: ReturnType<typeof auditStore>;
};

export type SettleContext = {
	stores: EngineStores;
	transaction<Result>(work: (stores: EngineStores) => Promise<Result>): Promise<Result>;
	wake(endpointIds: readonly EndpointId[]): void;
	clock: Clock;
	config: Pick<Config, "webhook">;
	tracing: Tracing;
};

/** Of one call: the loop that makes it is to come round. */
const stepsMax = 10;

/**
 * Writes results. Where some failed, what follows from that commits with them: an endpoint that answered 410 or has
 * failed for too long is disabled, and operational events are published. Those of operational events cause none.
 */
export async function settleResults(ctx: SettleContext, results: readonly AttemptResult[]): Promise<void> {
	const failed = results.filter(({ verdict }) => verdict.state !== "delivered");
	if (failed.length === 0) {
		await ctx.stores.settle.settle(results);
		return;
	}
	await publishingAfter(ctx, async (stores) => {
		await stores.settle.settle(results);
		return [...(await disableEndpoints(stores, failed)), ...(await countExhausted(stores, failed))];
	});
}

/**
 * Publishes what was held back: its endpoint was told of within the hour, or too many others at the same time. In
 * steps, so that none is too large; what is left after some waits for the next call.
 */
export async function tellExhaustions(ctx: SettleContext): Promise<void> {
	for (let step = 0; step < stepsMax; step += 1) {
		const told = await publishingAfter(ctx, async ({ failures }) =>
			(await failures.takeExhaustions()).map(deliveryExhausted),
		);
		if (told === 0) return;
	}
}

/** Runs the work and publishes what it returns in one transaction. Returns how many events. */
async function publishingAfter(
	ctx: SettleContext,
	work: (stores: EngineStores) => Promise<NewEvent[]>,
): Promise<number> {
	const woken: EndpointId[] = [];
	const count = await ctx.transaction(async (stores) => {
		const events = await work(stores);
		const { clock, config, tracing } = ctx;
		const wakeDeliveries = (endpointIds: readonly EndpointId[]) => void woken.push(...endpointIds);
		if (events.length > 0) await publishEvents({ stores, clock, config, tracing, wakeDeliveries }, events);
		return events.length;
	});
	ctx.wake(woken);
	return count;
}

async function disableEndpoints(stores: EngineStores, failed: readonly AttemptResult[]): Promise<NewEvent[]> {
	const gone = failed.filter(({ verdict }) => verdict.responseStatus === 410);
	const disabled = [
		...(gone.length === 0 ? [] : await stores.failures.disableGone(gone.map(({ delivery }) => delivery))),
		...(await stores.failures.disableFailing([
			...new Set(failed.map(({ delivery }) => delivery.endpointId)),
		])),
	];
	for (const endpoint of disabled) await auditDisabled(stores, endpoint);
	const causes = new Set(failed.filter(isTold).map(({ delivery }) => delivery.endpointId));
	return disabled.filter(({ id }) => causes.has(id)).map(endpointDisabled);
}

async function auditDisabled(stores: EngineStores, endpoint: DisabledEndpoint): Promise<void> {
	const { organizationId, projectId, id, reason } = endpoint;
	await recordAudit(
		{ stores },
		{
			organizationId,
			projectId,
			action: "webhook_endpoint.disabled",
			actor: systemActor,
			metadata: { endpoint_id: id, reason },
		},
	);
}

/**
 * A test's only attempt exhausts nothing, and of a 410 the endpoint's end tells. Nothing is told of endpoints that did
 * not fail here: these results would wait for what another organization has to be told.
 */
async function countExhausted(stores: EngineStores, failed: readonly AttemptResult[]): Promise<NewEvent[]> {
	const exhausted = failed.filter(
		(result) =>
			result.verdict.state === "failed" &&
			result.verdict.responseStatus !== 410 &&
			result.delivery.eventType !== "webhook.test" &&
			isTold(result),
	);
	if (exhausted.length === 0) return [];
	await stores.failures.countExhausted(exhausted);
	const endpointIds = new Set(exhausted.map(({ delivery }) => delivery.endpointId));
	return (await stores.failures.takeExhaustionsOf([...endpointIds])).map(deliveryExhausted);
}

function isTold({ delivery }: AttemptResult): boolean {
	return !operationalTypes.includes(delivery.eventType);
}
