// The load generator: publishes events over HTTP, paced or as fast as the server takes them.
import { Agent } from "undici";
import { serve } from "./child.ts";

type Target = { url: string; organizationId: string; key: string };

const agent = new Agent({ connections: 64 });
const pad = "x".repeat(900);

async function publish({ url, organizationId, key }: Target, body: string): Promise<void> {
	const answer = await agent.request({
		origin: url,
		path: `/v1/organizations/${organizationId}/events`,
		method: "POST",
		headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
		body,
	});
	const text = await answer.body.text();
	if (answer.statusCode !== 202) throw new Error(`an event was answered ${answer.statusCode}: ${text}`);
}

const one = JSON.stringify({ type: "bench.sent", data: { pad } });
const batchOf = (size: number) =>
	JSON.stringify({ events: Array.from({ length: size }, () => ({ type: "bench.sent", data: { pad } })) });

const commands = {
	/** At a steady rate, whatever the answers take. */
	pace: async ({ perSecond, seconds, ...target }: Target & { perSecond: number; seconds: number }) => {
		const publishing: Promise<void>[] = [];
		const startedAt = performance.now();
		for (let sent = 0; sent < perSecond * seconds; sent++) {
			const waitMs = startedAt + (sent * 1000) / perSecond - performance.now();
			if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
			publishing.push(publish(target, one));
		}
		await Promise.all(publishing);
		return { published: publishing.length };
	},
	/** So many events in requests of `batch`, `parallel` at a time. Milliseconds that it took. */
	flood: async (input: Target & { events: number; batch: number; parallel: number }) => {
		let left = input.events / input.batch;
		const body = input.batch === 1 ? one : batchOf(input.batch);
		const startedAt = performance.now();
		const line = async () => {
			while (left-- > 0) await publish(input, body);
		};
		await Promise.all(Array.from({ length: input.parallel }, line));
		return performance.now() - startedAt;
	},
};

export type LoadCommands = typeof commands;

serve(commands);
