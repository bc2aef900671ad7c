/** 1 to 32 waits in whole or fractional seconds, each below 10^6. */
export const schedulePattern = /^\d{1,6}(\.\d{1,3})?(,\d{1,6}(\.\d{1,3})?){0,31}$/;

const jitter = 0.2;
const retryAfterMaxMs = 6 * 3600 * 1000;

/**
 * How long to wait before the next attempt, in milliseconds; null when none is left. Attempts are counted
 * from the end of the schedule, so that an attempt which our own crash cost (`maxAttempts` was raised for it)
 * repeats its place. Each wait is jittered by ±20 %; a receiver's `Retry-After` can only lengthen it, up to
 * six hours. `random` is from 0 to 1.
 */
export function nextWaitMs(
	schedule: readonly number[],
	delivery: { attempts: number; maxAttempts: number },
	retryAfterMs: number | null,
	random: number,
): number | null {
	const left = delivery.maxAttempts - delivery.attempts;
	if (left <= 0) return null;
	const seconds = schedule[Math.max(0, schedule.length - left)] ?? 0;
	const waitMs = seconds * 1000 * (1 - jitter + 2 * jitter * random);
	return Math.max(waitMs, Math.min(retryAfterMs ?? 0, retryAfterMaxMs));
}

/** `Retry-After` in milliseconds (RFC 9110 §10.2.3: seconds or an HTTP date); null when it says nothing usable. */
export function readRetryAfter(value: string | null, now: Date): number | null {
	if (value === null) return null;
	if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
	const at = Date.parse(value);
	return Number.isNaN(at) || !/^[A-Za-z]{3},/.test(value.trim()) ? null : Math.max(0, at - now.getTime());
}
