import { createHmac } from "node:crypto";

type Signed = {
	body: Buffer;
	eventId: string;
	eventType: string;
	deliveryId: string;
	/** Live secrets in full (`whsec_…`), newest first: each gives a value in both signature headers. */
	secrets: readonly string[];
	at: Date;
};

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
	secrets,
	at,
}: Signed): Record<string, string> {
	const timestamp = String(Math.floor(at.getTime() / 1000));
	const own = secrets.map((secret) => {
		const mac = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex");
		return `v1=${mac}`;
	});
	const standard = secrets.map((secret) => {
		const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
		return `v1,${createHmac("sha256", key).update(`${eventId}.${timestamp}.`).update(body).digest("base64")}`;
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
