import { createHmac, hash } from "node:crypto";
import { equalDigests } from "../../core/equality.ts";
import type { Deployment, PlatformEvent } from "../deployment-provider.ts";
import type { InboundEvent, WebhookHeaders, WebhookVerdict } from "../provider.ts";
import { keyOfText } from "../signatures.ts";
import { toDeployment } from "./deploys.ts";
import { redactEvent } from "./redact.ts";
import { isDeploy, isEventBody, toMoment } from "./wire.ts";

/**
 * Judges `X-Webhook-Signature` (docs.netlify.com, "Deploy notifications"): a compact JWS whose key is the secret's
 * UTF-8 bytes and whose claims are `iss: "netlify"` and the SHA-256 of the raw body. HS256 alone is taken, whatever
 * the header asks for. It holds no time: a delivery that is repeated is as genuine as the first.
 */
export function verifyWebhook(input: {
	rawBody: Buffer;
	headers: WebhookHeaders;
	secrets: readonly string[];
}): WebhookVerdict {
	const jws = single(input.headers["x-webhook-signature"]);
	if (jws === null) return "missing_signature";
	const [header, claims, signature, ...rest] = jws.split(".");
	if (!header || !claims || !signature || rest.length > 0) return "bad_signature";
	// Under an empty key anyone can sign.
	const isSigned = input.secrets.some(
		(secret) => secret !== "" && equalDigests(signature, sign(secret, `${header}.${claims}`)),
	);
	if (!isSigned || !isPlainHs256(decode(header))) return "bad_signature";
	const { iss, sha256 } = decode(claims);
	const digest = hash("sha256", input.rawBody, "hex");
	const isOfBody = iss === "netlify" && typeof sha256 === "string" && equalDigests(sha256, digest);
	return isOfBody ? "genuine" : "bad_signature";
}

/**
 * Reads a genuine notification; null when it is about nothing with an id and a site. The type is the event of our own
 * URL, for the header is not signed; a URL without one leaves the header, then the body's state.
 */
export function readWebhook(input: {
	rawBody: Buffer;
	headers: WebhookHeaders;
	event: string | null;
}): PlatformEvent | null {
	const body = parseBody(input.rawBody);
	if (!isEventBody(body)) return null;
	const named = [input.event, single(input.headers["x-netlify-event"])].find(isEventName);
	const type = named ?? eventOf(body);
	return {
		// Netlify gives deliveries no id. Its retries of one event repeat the body.
		providerEventId: `${type}:${body.id}:${body.updated_at ?? digestOf(input.rawBody)}`,
		alternateEventId: null,
		type,
		instance: body.site_id,
		occurredAt: toMoment(body.updated_at),
		document: redactEvent(type, body),
	};
}

/** What a stored document says of a deploy; null when it is about something else, or of a deploy that is no more. */
export function interpret({
	type,
	document,
}: Pick<InboundEvent, "type" | "document" | "occurredAt">): Deployment | null {
	if (!type.startsWith("deploy_") || type === "deploy_deleted" || !isDeploy(document)) return null;
	return toDeployment(document, type);
}

function single(value: string | string[] | undefined): string | null {
	const only = Array.isArray(value) && value.length === 1 ? value[0] : value;
	return typeof only === "string" && only !== "" ? only : null;
}

function sign(secret: string, text: string): string {
	return createHmac("sha256", keyOfText(secret)).update(text).digest("base64url");
}

/** `crit` would name extensions that must be understood (RFC 7515 §4.1.11). */
function isPlainHs256({ alg, crit }: Record<string, unknown>): boolean {
	return alg === "HS256" && crit === undefined;
}

function decode(part: string): Record<string, unknown> {
	const json = parseBody(Buffer.from(part, "base64url"));
	return typeof json === "object" && json !== null ? { ...json } : {};
}

function parseBody(bytes: Buffer): unknown {
	try {
		return JSON.parse(bytes.toString("utf8"));
	} catch {
		return undefined;
	}
}

function isEventName(name: string | null): name is string {
	return name !== null && /^[a-z][a-z_]{0,63}$/.test(name);
}

function eventOf(body: object): string {
	if (!("state" in body)) return "unknown";
	if (body.state === "ready") return "deploy_created";
	return body.state === "error" ? "deploy_failed" : "deploy_building";
}

function digestOf(bytes: Buffer): string {
	return hash("sha256", bytes, "hex").slice(0, 32);
}
