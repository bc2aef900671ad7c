/** The three headers of Standard Webhooks (standardwebhooks.com, spec 1.0.0). */
export type SignedHeaders = {
	"webhook-id": string;
	"webhook-timestamp": string;
	"webhook-signature": string;
};

const toleranceSeconds = 300;

/** Signs a message for one attempt: the id is that of the message, the time that of the attempt. */
export async function sign(
	secret: string,
	{ id, body, now }: { id: string; body: string; now: Date },
): Promise<SignedHeaders> {
	const timestamp = String(Math.floor(now.getTime() / 1000));
	const key = await importKey(secret);
	const signature = await crypto.subtle.sign("HMAC", key, encode(`${id}.${timestamp}.${body}`));
	const base64 = btoa(String.fromCharCode(...new Uint8Array(signature)));
	return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${base64}` };
}

/** Whether one of the signatures is right under one of the secrets, and at most five minutes from `now`. */
export async function verify(
	secrets: readonly string[],
	{ headers, body, now }: { headers: Headers; body: string; now: Date },
): Promise<boolean> {
	const id = headers.get("webhook-id") ?? "";
	const timestamp = headers.get("webhook-timestamp") ?? "";
	if (id === "" || !/^\d{1,12}$/.test(timestamp)) return false;
	if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > toleranceSeconds) return false;
	const given = (headers.get("webhook-signature") ?? "").split(" ").flatMap((part) => decode(part) ?? []);
	const message = encode(`${id}.${timestamp}.${body}`);
	const verdicts = await Promise.all(
		secrets.flatMap((secret) => given.map((signature) => isRight(secret, signature, message))),
	);
	return verdicts.includes(true);
}

/** Whether the text is a secret that something can be signed with: base64 of 24 bytes or more, after `whsec_`. */
export function isSecret(text: string): boolean {
	return /^(whsec_)?[A-Za-z0-9+/]{32,}={0,2}$/.test(text);
}

async function isRight(secret: string, signature: Uint8Array<ArrayBuffer>, message: Uint8Array<ArrayBuffer>) {
	// Compares in constant time.
	return crypto.subtle.verify("HMAC", await importKey(secret), signature, message);
}

function importKey(secret: string) {
	const bytes = fromBase64(secret.replace(/^whsec_/, ""));
	return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

function decode(part: string): Uint8Array<ArrayBuffer> | null {
	return /^v1,[A-Za-z0-9+/]{43}=$/.test(part) ? fromBase64(part.slice(3)) : null;
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
	return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function encode(text: string): Uint8Array<ArrayBuffer> {
	return new TextEncoder().encode(text);
}
