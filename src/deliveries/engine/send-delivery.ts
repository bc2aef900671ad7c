import type { Clock } from "../../core/clock.ts";
import { newUuid } from "../../core/ids.ts";
import { type SpanStart, type Tracing, traced } from "../../core/tracing.ts";
import type { Sender, SendOutcome, SendRequest } from "../../platform/sender.ts";
import type { SealedPlace } from "../../platform/vault.ts";
import type { ClaimedDelivery } from "./claim-store.ts";
import type { AttemptResult } from "./settle-store.ts";
import { type SigningKeys, signedHeaders } from "./sign.ts";
import { attemptsMax, judge, lostTooOften } from "./verdict.ts";

export type SendContext = {
	sender: Sender;
	/** Of a sealed signing secret. */
	openKeys: (sealed: string, place: SealedPlace) => SigningKeys;
	openHeaders: (sealed: string, place: SealedPlace) => Record<string, string>;
	clock: Clock;
	tracing: Tracing;
	retryScheduleSeconds: readonly number[];
};

/** Of a response's body, as it is kept and shown. */
const responseBytesMax = 16 * 1024;

/**
 * Why nothing was sent. `trouble`: one of our own kept it from being sent. `sealed`: its endpoint's secrets cannot be
 * opened here. `expired`: its event has no payload any more.
 */
export type NotSent = { notSent: "expired" } | { notSent: "trouble" } | { notSent: "sealed"; error: unknown };

/** Signs and sends one claimed delivery; gives up one during whose attempts the server has stopped again and again. */
export async function sendDelivery(
	ctx: SendContext,
	delivery: ClaimedDelivery,
): Promise<AttemptResult | NotSent> {
	const at = ctx.clock.now();
	if (delivery.payload === null) return { notSent: "expired" };
	if (delivery.attempts > attemptsMax)
		return { id: newUuid(), delivery, verdict: lostTooOften, at, durationMs: 0, ...noResponse };
	const secrets = openSecrets(ctx, delivery);
	if ("notSent" in secrets) return secrets;
	const body = Buffer.from(delivery.payload);
	const headers = {
		...delivery.headers,
		...secrets.headers,
		...signedHeaders({
			body,
			eventId: delivery.eventId,
			eventType: delivery.eventType,
			deliveryId: delivery.id,
			keys: secrets.keys,
			at,
		}),
	};
	const outcome = await send(ctx, delivery, { url: delivery.url, headers, body });
	if (outcome.kind === "failed" && outcome.ours) return { notSent: "trouble" };
	const verdict = judge({
		outcome,
		delivery,
		schedule: ctx.retryScheduleSeconds,
		now: ctx.clock.now(),
		random: Math.random(),
	});
	const durationMs = Math.round(outcome.durationMs);
	return { id: newUuid(), delivery, verdict, at, durationMs, ...responseOf(outcome) };
}

function openSecrets(
	{ openKeys, openHeaders }: Pick<SendContext, "openKeys" | "openHeaders">,
	{ endpointId, secrets, secretHeaders }: ClaimedDelivery,
): { keys: SigningKeys[]; headers: Record<string, string> } | NotSent {
	try {
		const place = { row: endpointId, column: "webhook_endpoints.secret_headers" };
		return {
			keys: secrets.map(({ id, sealed }) => openKeys(sealed, { row: id, column: "endpoint_secrets.secret" })),
			headers: secretHeaders === null ? {} : openHeaders(secretHeaders, place),
		};
	} catch (error) {
		return { notSent: "sealed", error };
	}
}

/** In a trace of its own: it may be made hours after the event was published, by any replica. */
async function send(
	{ sender, tracing }: Pick<SendContext, "sender" | "tracing">,
	delivery: ClaimedDelivery,
	request: SendRequest,
): Promise<SendOutcome> {
	if (!tracing.isOn) return sender.send(request);
	return traced(
		tracing,
		() => attemptSpan(delivery),
		async (span) => {
			const outcome = await sender.send({ ...request, headers: { ...request.headers, ...span.headers() } });
			if (outcome.kind === "failed") span.fail(outcome.errorCode);
			else {
				span.set({ "http.response.status_code": outcome.status });
				if (outcome.status < 200 || outcome.status > 299) span.fail(String(outcome.status));
			}
			return outcome;
		},
	);
}

/** By OpenTelemetry's conventions for HTTP clients, without `url.full`: its path and query may hold secrets. */
function attemptSpan(delivery: ClaimedDelivery): SpanStart {
	const url = URL.parse(delivery.url);
	return {
		name: "POST",
		kind: "client",
		attributes: {
			"http.request.method": "POST",
			"http.request.resend_count": delivery.attempts - 1,
			...(url && {
				"server.address": url.hostname,
				"server.port": Number(url.port) || (url.protocol === "https:" ? 443 : 80),
			}),
			"messaging.message.id": delivery.eventId,
			"capydb.organization_id": delivery.organizationId,
			"capydb.endpoint_id": delivery.endpointId,
			"capydb.delivery_id": delivery.id,
			"capydb.event_type": delivery.eventType,
		},
		parent: "none",
	};
}

const noResponse = { responseHeaders: null, responseBody: null, isPrivate: false };

function responseOf(
	outcome: SendOutcome,
): Pick<AttemptResult, "responseHeaders" | "responseBody" | "isPrivate"> {
	if (outcome.kind === "failed") return noResponse;
	return {
		responseHeaders: outcome.headers.map(([name, value]) => [
			storable(name),
			name.toLowerCase() === "set-cookie" ? "[masked]" : storable(value),
		]),
		responseBody: cut(storable(outcome.body.toString("utf8")), responseBytesMax),
		isPrivate: outcome.addressVerdict === "allowed",
	};
}

/** At most so many bytes of UTF-8, whole characters: each byte that is none was made three by decoding. */
function cut(text: string, bytesMax: number): string {
	const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytesMax));
	return text.slice(0, read);
}

/** Postgres takes no NUL in text, and no lone surrogate in JSON. */
function storable(text: string): string {
	return text.replaceAll("\0", "").toWellFormed();
}
