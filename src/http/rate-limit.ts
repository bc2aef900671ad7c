import type { FastifyInstance, FastifyReply } from "fastify";
import { AppError } from "../core/errors.ts";

type Bucket = { tokens: number; at: number };

export type RateLimiter = {
	/** Takes one token. Throws a 429 when the bucket is empty. */
	take(key: string, reply: FastifyReply): void;
};

const bucketsMax = 20_000;

/** Token buckets in this process's memory: `perSecond` refill, `burst` depth. */
export function createRateLimiter(options: { perSecond: number; burst: number }): RateLimiter {
	const buckets = new Map<string, Bucket>();
	return {
		take: (key, reply) => {
			const now = performance.now();
			const bucket = buckets.get(key) ?? { tokens: options.burst, at: now };
			const refilled = bucket.tokens + ((now - bucket.at) / 1000) * options.perSecond;
			bucket.tokens = Math.min(options.burst, refilled);
			bucket.at = now;
			// Moves the key to the end: the first keys are those that were quiet for longest.
			buckets.delete(key);
			buckets.set(key, bucket);
			if (buckets.size > bucketsMax) forgetQuietest(buckets);
			const resetSeconds = Math.ceil((options.burst - bucket.tokens) / options.perSecond);
			reply.header("ratelimit-limit", String(options.burst));
			reply.header("ratelimit-remaining", String(Math.max(0, Math.floor(bucket.tokens - 1))));
			reply.header("ratelimit-reset", String(resetSeconds));
			if (bucket.tokens < 1) {
				throw new AppError("rate_limited", "rate_limit.exceeded", "Too many requests; slow down.", {
					retryAfterSeconds: Math.max(1, Math.ceil((1 - bucket.tokens) / options.perSecond)),
				});
			}
			bucket.tokens -= 1;
		},
	};
}

/** Limits what each address asks of a scope whose callers have no credential. */
export function useAddressLimit(app: FastifyInstance, perSecond: number): void {
	const limiter = createRateLimiter({ perSecond, burst: perSecond * 4 });
	app.addHook("onRequest", async (request, reply) => limiter.take(request.ip, reply));
}

function forgetQuietest(buckets: Map<string, Bucket>): void {
	const [first] = buckets.keys();
	if (first !== undefined) buckets.delete(first);
}
