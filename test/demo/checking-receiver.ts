import { createHmac, timingSafeEqual } from "node:crypto";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { type ReceivedRequest, startReceiver } from "../support/receiver.ts";

/** One request that arrived: what was in it, whether all three signatures hold, and how it was answered. */
export type Arrival = {
	eventId: string;
	deliveryId: string;
	type: string;
	data: Record<string, unknown>;
	answered: 200 | 401 | 503;
};

export type CheckingReceiver = {
	url: string;
	/** In order of arrival. */
	arrivals: Arrival[];
	/** Why a request was refused: must stay empty. */
	faults: string[];
	/** The endpoint's secret; without one every request is refused. */
	trust(secret: string): void;
	/** From now on every request is verified and then answered 503, until `recover`. */
	breakDown(): void;
	recover(): void;
	close(): Promise<void>;
};

/** A receiver as a customer would write it: it takes nothing that any of three verifications refuses. */
export async function startCheckingReceiver(): Promise<CheckingReceiver> {
	const receiver = await startReceiver();
	const arrivals: Arrival[] = [];
	const faults: string[] = [];
	let secret: string | null = null;
	let isDown = false;
	receiver.respondWith((request) => {
		const fault = faultOf(request, secret);
		if (fault !== null) faults.push(fault);
		const answered = fault === null ? (isDown ? 503 : 200) : 401;
		arrivals.push({ ...read(request), answered });
		return answered;
	});
	return {
		url: `${receiver.url}/webhooks`,
		arrivals,
		faults,
		trust: (next) => {
			secret = next;
		},
		breakDown: () => {
			isDown = true;
		},
		recover: () => {
			isDown = false;
		},
		close: receiver.close,
	};
}

function read({ headers, body }: ReceivedRequest): Omit<Arrival, "answered"> {
	const envelope = JSON.parse(body.toString());
	return {
		eventId: headers["webhook-id"] ?? "",
		deliveryId: headers["x-capydb-delivery"] ?? "",
		type: envelope.type,
		data: envelope.data,
	};
}

/** Null when svix, standardwebhooks and our own HMAC all hold, over the same raw bytes. */
function faultOf({ headers, body }: ReceivedRequest, secret: string | null): string | null {
	if (secret === null) return "A delivery arrived before the endpoint had a secret.";
	const text = body.toString();
	for (const [name, Webhook] of [
		["svix", SvixWebhook],
		["standardwebhooks", StandardWebhook],
	] as const) {
		try {
			new Webhook(secret).verify(text, headers);
		} catch (error) {
			return `The ${name} library refuses a delivery: ${error}`;
		}
	}
	if (!holdsCapyDbSignature(headers["x-capydb-signature"] ?? "", body, secret)) {
		return `X-CapyDB-Signature does not hold: ${headers["x-capydb-signature"]}`;
	}
	if (JSON.parse(text).id !== headers["webhook-id"]) return "webhook-id is not the envelope's id.";
	return null;
}

function holdsCapyDbSignature(header: string, body: Buffer, secret: string): boolean {
	const match = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header);
	if (match === null) return false;
	const [, timestamp = "", given = ""] = match;
	const mac = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest();
	const isFresh = Math.abs(Date.now() / 1000 - Number(timestamp)) < 300;
	return isFresh && timingSafeEqual(mac, Buffer.from(given, "hex"));
}
