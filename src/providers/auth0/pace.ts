import { setTimeout as sleep } from "node:timers/promises";
import { ProviderError } from "../errors.ts";
import type { ProviderAnswer } from "../http.ts";

export type Pace = {
	/** Makes a call when the tenant's limit allows it. Throws what the call throws, and the signal's reason. */
	run(domain: string, signal: AbortSignal, call: () => Promise<ProviderAnswer>): Promise<ProviderAnswer>;
};

const attemptsMax = 5;
/** What is asked for beyond this is for the job to wait for, not for a call. */
const waitMsMax = 60_000;

/**
 * Keeps to a tenant's rate limit, two requests a second on the free plan: a tenant with many users would spend a
 * job's few attempts on refusals otherwise. When nothing remains, the next call waits until the limit is reset; a
 * call that is refused all the same is made again when Auth0 says so, five times at most.
 */
export function createPace(): Pace {
	const nextAtMs = new Map<string, number>();
	return {
		async run(domain, signal, call) {
			for (let attempt = 1; ; attempt += 1) {
				await wait((nextAtMs.get(domain) ?? 0) - Date.now(), signal);
				nextAtMs.delete(domain);
				try {
					const answer = await call();
					const resetAtMs = readReset(answer.headers);
					if (resetAtMs !== null) nextAtMs.set(domain, Math.min(resetAtMs, Date.now() + waitMsMax));
					return answer;
				} catch (error) {
					const waitMs = readWait(error);
					if (waitMs === null || waitMs > waitMsMax || attempt === attemptsMax) throw error;
					nextAtMs.set(domain, Date.now() + waitMs);
				}
			}
		},
	};
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
	signal.throwIfAborted();
	if (ms <= 0) return;
	await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

/** When the limit is reset, once nothing of it remains; else null. `X-RateLimit-Reset` is in Unix seconds. */
function readReset(headers: ProviderAnswer["headers"]): number | null {
	const { "x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset } = headers;
	if (remaining !== "0" || typeof reset !== "string" || !/^\d{10}$/.test(reset)) return null;
	return Number(reset) * 1000;
}

function readWait(error: unknown): number | null {
	if (!(error instanceof ProviderError) || error.reason !== "rate_limited") return null;
	return (error.retryAfterSeconds ?? 1) * 1000;
}
