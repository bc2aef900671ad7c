import { createHmac, createSecretKey, type KeyObject } from "node:crypto";

/** What one signing secret signs with. Made once: Node takes several times longer over a key that is bare bytes. */
export type SigningKeys = { own: KeyObject; standard: KeyObject };

type Signed = {
	body: Buffer;
	eventId: string;
	eventType: string;
	deliveryId: string;
	/** Of the live secrets, newest first: each gives a value in both signature headers. */
	keys: readonly SigningKeys[];
	at: Date;
};

/** The keys of a secret in full (`whsec_…`). */
export function signingKeys(secret: string): SigningKeys {
	const bytes = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
	return { own: createSecretKey(secret, "utf8"), standard: createSecretKey(bytes) };
}

/**
 * The headers of one attempt. `X-CapyDB-Signature` is HMAC-SHA256 over `<t>.<body>` under the secret's whole
 * text; `webhook-*` follows Standard Webhooks 1.0.0 (https://www.standardwebhooks.com): over
 * `<id>.<t>.<body>` under the bytes that the secret's base64 part stands for.
 */
export function signedHeaders({
	body,
	eventId,
	eventType,
	deliveryId,
	keys,
	at,
}: Signed): Record<string, string> {
	const timestamp = String(Math.floor(at.getTime() / 1000));
	const own = keys.map((key) => {
		const mac = createHmac("sha256", key.own).update(`${timestamp}.`).update(body).digest("hex");
		return `v1=${mac}`;
	});
	const standard = keys.map((key) => {
		const mac = createHmac("sha256", key.standard).update(`${eventId}.${timestamp}.`).update(body);
		return `v1,${mac.digest("base64")}`;
	});
	return {
		"Content-Type": "application/json",
		"User-Agent": "capydb-webhooks/1.0",
		"X-CapyDB-Event": eventType,
		"X-CapyDB-Delivery": deliveryId,
		"X-CapyDB-Signature": [`t=${timestamp}`, ...own].join(","),
		"webhook-id": eventId,
		"webhook-timestamp": timestamp,
		"webhook-signature": standard.join(" "),
	};
}
