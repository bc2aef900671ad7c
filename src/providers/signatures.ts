import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { equalSecrets } from "../core/equality.ts";
import type { WebhookHeaders, WebhookVerdict } from "./provider.ts";

const toleranceSeconds = 300;

/**
 * Judges a Standard Webhooks signature (standardwebhooks.com, spec 1.0.0), which is also Svix's: base64
 * HMAC-SHA256 of `id.timestamp.body` over the raw bytes, at most 300 s from `now` either way. Accepts the
 * header families `svix-*` and `webhook-*`, several space-separated signatures, and any of the `secrets`.
 * `stale` is said only of a signature that is right. Written here because the libraries read the process
 * clock and decode the body to text before they hash it.
 */
export function verifyStandardWebhook(input: {
	rawBody: Buffer;
	headers: WebhookHeaders;
	secrets: readonly string[];
	now: Date;
}): WebhookVerdict {
	const message = signedMessage(input.headers);
	if (message === null) return "missing_signature";
	if (!/^\d{1,12}$/.test(message.timestamp)) return "bad_signature";
	const given = message.signatures
		.split(" ")
		.flatMap((part) => (part.startsWith("v1,") ? [part.slice(3)] : []));
	const expected = input.secrets.flatMap((secret) => {
		const key = decodeSecret(secret);
		return key === null ? [] : [sign(key, message, input.rawBody)];
	});
	const matches = expected.some((right) => given.some((candidate) => equalSecrets(candidate, right)));
	if (!matches) return "bad_signature";
	const ageSeconds = Math.floor(input.now.getTime() / 1000) - Number(message.timestamp);
	return Math.abs(ageSeconds) > toleranceSeconds ? "stale" : "genuine";
}

type SignedMessage = { id: string; timestamp: string; signatures: string };

/** Signs a message as it is judged above; null when the secret is not base64 or is empty. */
export function signStandardWebhook(
	{ id, rawBody, now }: { id: string; rawBody: Buffer; now: Date },
	secret: string,
): Record<string, string> | null {
	const key = decodeSecret(secret);
	if (key === null) return null;
	const timestamp = String(Math.floor(now.getTime() / 1000));
	const signature = sign(key, { id, timestamp }, rawBody);
	return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}

/**
 * The three headers that a signature covers, all of one family, or null. Whoever reads the message id takes
 * it from here: an id of the family that was not verified is anybody's.
 */
export function signedMessage(headers: WebhookHeaders): SignedMessage | null {
	for (const family of ["svix", "webhook"]) {
		const id = single(headers[`${family}-id`]);
		const timestamp = single(headers[`${family}-timestamp`]);
		const signatures = single(headers[`${family}-signature`]);
		if (id !== null && timestamp !== null && signatures !== null) return { id, timestamp, signatures };
	}
	return null;
}

const keysMax = 1_000;
const keys = new Map<string, KeyObject>();

/** A secret's UTF-8 bytes as a key object, kept: Node takes several times longer over a key that is text. */
export function keyOfText(secret: string): KeyObject {
	const kept = keys.get(secret);
	if (kept) return kept;
	const key = createSecretKey(secret, "utf8");
	const [oldest] = keys.keys();
	if (keys.size >= keysMax && oldest !== undefined) keys.delete(oldest);
	keys.set(secret, key);
	return key;
}

function single(value: string | string[] | undefined): string | null {
	const only = Array.isArray(value) && value.length === 1 ? value[0] : value;
	return typeof only === "string" && only !== "" ? only : null;
}

/** null for a secret that is not base64 or holds no bytes: under an empty key anyone can sign. */
function decodeSecret(secret: string): Buffer | null {
	const text = secret.startsWith("whsec_") ? secret.slice("whsec_".length) : secret;
	return /^[A-Za-z0-9+/]{2,}={0,2}$/.test(text) ? Buffer.from(text, "base64") : null;
}

function sign(key: Buffer, message: Pick<SignedMessage, "id" | "timestamp">, rawBody: Buffer): string {
	return createHmac("sha256", key)
		.update(`${message.id}.${message.timestamp}.`)
		.update(rawBody)
		.digest("base64");
}
