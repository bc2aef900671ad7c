import type { Clock } from "../../core/clock.ts";
import type { Sender, SendOutcome } from "../../platform/sender.ts";
import type { SealedPlace } from "../../platform/vault.ts";
import type { ClaimedDelivery } from "./claim-store.ts";
import type { AttemptResult } from "./settle-store.ts";
import { type SigningKeys, signedHeaders } from "./sign.ts";
import { judge } from "./verdict.ts";

export type SendContext = {
	sender: Sender;
	/** Of a sealed signing secret. */
	openKeys: (sealed: string, place: SealedPlace) => SigningKeys;
	openHeaders: (sealed: string, place: SealedPlace) => Record<string, string>;
	clock: Clock;
	retryScheduleSeconds: readonly number[];
};

/**
 * Signs and sends one claimed delivery. `not_sent`: a trouble of our own kept it from being sent at all. `expired`:
 * its event has no payload any more.
 */
export async function sendDelivery(
	ctx: SendContext,
	delivery: ClaimedDelivery,
): Promise<AttemptResult | "not_sent" | "expired"> {
	const at = ctx.clock.now();
	if (delivery.payload === null) return "expired";
	const body = Buffer.from(delivery.payload);
	const outcome = await ctx.sender.send({
		url: delivery.url,
		body,
		headers: {
			...delivery.headers,
			...openSecretHeaders(ctx, delivery),
			...signedHeaders({
				body,
				eventId: delivery.eventId,
				eventType: delivery.eventType,
				deliveryId: delivery.id,
				keys: delivery.secrets.map(({ id, sealed }) =>
					ctx.openKeys(sealed, { row: id, column: "endpoint_secrets.secret" }),
				),
				at,
			}),
		},
	});
	if (outcome.kind === "failed" && outcome.ours) return "not_sent";
	const verdict = judge({
		outcome,
		delivery,
		schedule: ctx.retryScheduleSeconds,
		now: ctx.clock.now(),
		random: Math.random(),
	});
	return { delivery, verdict, at, durationMs: Math.round(outcome.durationMs), ...responseOf(outcome) };
}

function openSecretHeaders(ctx: SendContext, delivery: ClaimedDelivery): Record<string, string> {
	if (delivery.secretHeaders === null) return {};
	const place = { row: delivery.endpointId, column: "webhook_endpoints.secret_headers" };
	return ctx.openHeaders(delivery.secretHeaders, place);
}

function responseOf(
	outcome: SendOutcome,
): Pick<AttemptResult, "responseHeaders" | "responseBody" | "isPrivate"> {
	if (outcome.kind === "failed") return { responseHeaders: null, responseBody: null, isPrivate: false };
	return {
		responseHeaders: outcome.headers.map(([name, value]) => [
			storable(name),
			name.toLowerCase() === "set-cookie" ? "[masked]" : storable(value),
		]),
		responseBody: storable(outcome.body.toString("utf8")),
		isPrivate: outcome.addressVerdict === "allowed",
	};
}

/** Postgres takes no NUL in text, and no lone surrogate in JSON. */
function storable(text: string): string {
	return text.replaceAll("\0", "").toWellFormed();
}
