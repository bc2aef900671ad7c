import type { SendErrorCode, SendOutcome } from "../../platform/sender.ts";
import { nextWaitMs, readRetryAfter } from "./retry-schedule.ts";

/** Why an attempt failed, in the words of the API. `unknown`: the process died, so the outcome is not known. */
export type DeliveryErrorCode = SendErrorCode | "http_4xx" | "http_5xx" | "redirect";

/** What an attempt's outcome means for its delivery. */
export type Verdict =
	| { state: "delivered"; responseStatus: number }
	| {
			state: "pending" | "failed";
			responseStatus: number | null;
			errorCode: DeliveryErrorCode;
			error: string;
			/** Milliseconds until the next attempt; null when there is none. */
			waitMs: number | null;
	  };

/**
 * No delivery is sent more often. An attempt during which the server stopped is made again and costs none of the
 * schedule, so without this bound one that itself stops the server would do so for ever.
 */
export const attemptsMax = 100;

/**
 * What the log says of attempts that we lost ourselves, and of no other: they share `unknown` with answers that are no
 * HTTP. Attempts are known by these sentences for as long as they are kept, so neither changes.
 */
export const ourLosses = {
	stopped: "The server stopped during this attempt; whether it arrived is not known.",
	givenUp: "The server stopped during too many attempts of this delivery, so it was given up.",
};

export const lostTooOften: Verdict = {
	state: "failed",
	responseStatus: null,
	errorCode: "unknown",
	error: ourLosses.givenUp,
	waitMs: null,
};

type Input = {
	outcome: SendOutcome;
	delivery: { attempts: number; maxAttempts: number };
	schedule: readonly number[];
	now: Date;
	/** From 0 to 1. */
	random: number;
};

/** 2xx is success; everything else is tried again while the schedule has a place left. */
export function judge({ outcome, delivery, schedule, now, random }: Input): Verdict {
	const responseStatus = outcome.kind === "answered" ? outcome.status : null;
	if (responseStatus !== null && responseStatus >= 200 && responseStatus < 300)
		return { state: "delivered", responseStatus };
	const { errorCode, error, isFinal } = failureOf(outcome);
	const waitMs = isFinal ? null : nextWaitMs(schedule, delivery, askedWaitMs(outcome, now), random);
	return { state: waitMs === null ? "failed" : "pending", responseStatus, errorCode, error, waitMs };
}

type FailedAttempt = { errorCode: DeliveryErrorCode; error: string; isFinal: boolean };

function failureOf(outcome: SendOutcome): FailedAttempt {
	if (outcome.kind === "failed")
		return { errorCode: outcome.errorCode, error: outcome.message, isFinal: false };
	const { status } = outcome;
	const error = `The receiver answered ${status}.`;
	if (status < 400) {
		const sentence = `The receiver answered ${status}; redirects are not followed.`;
		return { errorCode: "redirect", error: sentence, isFinal: false };
	}
	if (status >= 500) return { errorCode: "http_5xx", error, isFinal: false };
	return { errorCode: "http_4xx", error, isFinal: status === 410 };
}

/** `Retry-After` counts on 429 and 503 alone. */
function askedWaitMs(outcome: SendOutcome, now: Date): number | null {
	if (outcome.kind === "failed" || (outcome.status !== 429 && outcome.status !== 503)) return null;
	const header = outcome.headers.find(([name]) => name.toLowerCase() === "retry-after");
	return readRetryAfter(header?.[1] ?? null, now);
}
