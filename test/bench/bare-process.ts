// The ceiling: the same signed POSTs through the engine's own sender with nothing claimed and nothing recorded.
import { newId } from "../../src/core/ids.ts";
import { signedHeaders, signingKeys } from "../../src/deliveries/engine/sign.ts";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createSender } from "../../src/platform/sender.ts";
import { serve } from "./child.ts";
import type { Bare } from "./runs.ts";

const keys = [signingKeys(`whsec_${Buffer.alloc(32, 5).toString("base64")}`)];
const sender = createSender({
	guard: createAddressGuard({ allow: ["127.0.0.0/8"] }),
	deadlineMs: 15_000,
	connectionsPerOriginMax: 256,
});

async function post(url: string, text: string): Promise<void> {
	const body = Buffer.from(text);
	const at = new Date();
	const [eventId, deliveryId] = [newId("evt"), newId("whd")];
	const headers = signedHeaders({
		body,
		eventId,
		eventType: "bench.sent",
		deliveryId,
		keys,
		at,
	});
	const outcome = await sender.send({ url, body, headers });
	if (outcome.kind === "failed") throw new Error(outcome.message);
}

const commands = {
	/** Sends them all and says how long that took. */
	run: async ({ urls, requests, concurrency, body }: Bare) => {
		let sent = 0;
		const startedAt = performance.now();
		const line = async () => {
			while (sent < requests) {
				const url = urls[sent++ % urls.length] ?? "";
				await post(url, body);
			}
		};
		await Promise.all(Array.from({ length: concurrency }, line));
		return { ms: performance.now() - startedAt };
	},
	/** Sends at a steady rate; each body says when it began. */
	pace: async ({ url, perSecond, seconds }: { url: string; perSecond: number; seconds: number }) => {
		const sending: Promise<void>[] = [];
		const startedAt = performance.now();
		for (let sent = 0; sent < perSecond * seconds; sent++) {
			const waitMs = startedAt + (sent * 1000) / perSecond - performance.now();
			if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
			const pad = "x".repeat(900);
			const text = `{"sent_at":${performance.timeOrigin + performance.now()},"pad":"${pad}"}`;
			sending.push(post(url, text));
		}
		await Promise.all(sending);
	},
};

export type BareCommands = typeof commands;

serve(commands);
