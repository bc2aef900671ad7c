import { createHmac } from "node:crypto";
import type { ReceivedRequest } from "../support/receiver.ts";

/** Whether `X-CapyDB-Signature` holds one value for each secret, in that order, and nothing else. */
export function ownSignatures(request: ReceivedRequest | undefined, secrets: string[]): boolean {
	if (!request) return false;
	const header = request.headers["x-capydb-signature"] ?? "";
	const time = /^t=(\d+),/.exec(header)?.[1] ?? "";
	const macs = secrets.map((secret) =>
		createHmac("sha256", secret)
			.update(Buffer.concat([Buffer.from(`${time}.`), request.body]))
			.digest("hex"),
	);
	return header === [`t=${time}`, ...macs.map((mac) => `v1=${mac}`)].join(",");
}

/** The same of `webhook-signature` (Standard Webhooks). */
export function standardSignatures(request: ReceivedRequest | undefined, secrets: string[]): boolean {
	if (!request) return false;
	const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": header } = request.headers;
	const macs = secrets.map((secret) =>
		createHmac("sha256", Buffer.from(secret.replace("whsec_", ""), "base64"))
			.update(Buffer.concat([Buffer.from(`${id}.${time}.`), request.body]))
			.digest("base64"),
	);
	return header === macs.map((mac) => `v1,${mac}`).join(" ");
}
