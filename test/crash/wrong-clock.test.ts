import { Webhook } from "standardwebhooks";
import { expect, it } from "vitest";
import {
	addEndpoint,
	addOrganization,
	newestDelivery,
	passTime,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { startWorker } from "../deliveries/worker-process.ts";
import { startTestServer } from "../support/server.ts";

const minuteMs = 60_000;
const schedule = { WEBHOOK_RETRY_SCHEDULE: "0,120" };

it.each([10, -10])(
	"a replica whose clock is %i minutes wrong sends when it is time, and signs with the right time",
	async (minutes) => {
		const api = await startTestServer({ env: { ROLE: "api", ...schedule } });
		await startWorker(api, {
			...schedule,
			NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(wrongBy(minutes * minuteMs))}`,
		});
		const owner = await addOrganization(api);
		const receiver = await receiving();
		receiver.respondWith(500, 200);
		const endpoint = await addEndpoint(api, owner, { url: receiver.url });
		await publish(api, owner, { type: "a", data: 1 });
		const failed = await newestDelivery(api, owner, endpoint, ({ error_code: code }) => code !== null);
		const waitMs = Date.parse(failed.next_attempt_at) - Date.parse(failed.updated_at);
		expect(waitMs).toBeGreaterThan(0.5 * minuteMs);
		expect(waitMs).toBeLessThan(3 * minuteMs);
		// The public libraries refuse a timestamp that is five minutes away.
		for (const { body, headers } of receiver.requests)
			new Webhook(endpoint.secret).verify(body.toString(), headers);
		await passTime(api, 3 * minuteMs, endpoint);
		await newestDelivery(api, owner, endpoint, ({ state }) => state === "delivered");
		expect(receiver.requests).toHaveLength(2);
	},
);

/** What a process loads first whose clock is wrong by so much. */
function wrongBy(ms: number): string {
	return `
		const now = Date.now;
		const Right = Date;
		globalThis.Date = class extends Right {
			constructor(...given) { super(...(given.length === 0 ? [now() + ${ms}] : given)); }
			static now() { return now() + ${ms}; }
		};`;
}
