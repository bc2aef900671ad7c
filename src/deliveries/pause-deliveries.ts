import type { Context } from "../context.ts";
import type { DeliveryPause } from "./pause-store.ts";

type Parts = Pick<Context, "stores">;

/**
 * Stops sending to anybody, on every replica from its next claim on. What is in flight ends by itself; what waits uses
 * no attempt, and goes on once resumed. Pausing again changes nothing.
 */
export async function pauseDeliveries({ stores }: Parts, reason: string | null): Promise<DeliveryPause> {
	await stores.deliveryPause.begin(reason);
	const pause = await stores.deliveryPause.find();
	if (!pause) throw new Error("Deliveries were resumed while they were being paused.");
	return pause;
}

/** Sends again, within a second. Null when nothing was paused. */
export function resumeDeliveries({ stores }: Parts): Promise<DeliveryPause | null> {
	return stores.deliveryPause.end();
}

/** Null while deliveries go out. */
export function findPause({ stores }: Parts): Promise<DeliveryPause | null> {
	return stores.deliveryPause.find();
}
