// Posts signed Vercel events, each an event of its own, so many at a time.
import { createHmac, randomUUID } from "node:crypto";
import { Agent } from "undici";
import { serve } from "./child.ts";
import { percentile } from "./measure.ts";

type Input = { url: string; secret: string; template: string; count: number; parallel: number };

export type Posted = { perSecond: number; p99Ms: number };

type Signed = { body: string; signature: string };

function sign({ secret, template, count }: Input): Signed[] {
	const event = JSON.parse(template);
	return Array.from({ length: count }, () => {
		const deployment = { ...event.payload.deployment, id: `dpl_${randomUUID()}` };
		const body = JSON.stringify({ ...event, id: randomUUID(), payload: { ...event.payload, deployment } });
		return { body, signature: createHmac("sha1", secret).update(body).digest("hex") };
	});
}

const commands = {
	/** Signing them is not counted. */
	post: async (input: Input): Promise<Posted> => {
		const { origin, pathname } = new URL(input.url);
		const agent = new Agent({ connections: input.parallel });
		const events = sign(input);
		const latencies: number[] = [];
		let next = 0;
		const line = async () => {
			for (let event = events[next++]; event !== undefined; event = events[next++]) {
				const startedAt = performance.now();
				const answer = await agent.request({
					origin,
					path: pathname,
					method: "POST",
					headers: { "content-type": "application/json", "x-vercel-signature": event.signature },
					body: event.body,
				});
				const text = await answer.body.text();
				if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}: ${text}`);
				latencies.push(performance.now() - startedAt);
			}
		};
		const startedAt = performance.now();
		await Promise.all(Array.from({ length: input.parallel }, line));
		const ms = performance.now() - startedAt;
		await agent.close();
		return { perSecond: (input.count / ms) * 1000, p99Ms: percentile(latencies, 99) };
	},
};

export type PostsCommands = typeof commands;

serve(commands);
