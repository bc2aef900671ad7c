import { AppError } from "../core/errors.ts";

export function payloadGone(): AppError {
	const sentence = "The event is no longer kept: it was erased, or is older than its retention.";
	return new AppError("conflict", "delivery.payload_gone", sentence);
}

export function endpointInactive(): AppError {
	const sentence = "The endpoint is inactive: set `is_active` to true before sending it deliveries again.";
	return new AppError("conflict", "webhook_endpoint.inactive", sentence);
}

/** `waitMs` is the time until the endpoint's next delivery by hand may be made. */
export function tooManyByHand(waitMs: number): AppError {
	const sentence = "An endpoint can be tested and redelivered to 60 times a minute; wait a little.";
	const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
	return new AppError("rate_limited", "rate_limit.exceeded", sentence, { retryAfterSeconds });
}

export function replayRunning(): AppError {
	const sentence = "A replay to this endpoint is queued or running already; one at a time.";
	return new AppError("conflict", "replay.already_open", sentence);
}

/** Of a replay whose endpoint was made inactive under way. */
export function replayStopped(): AppError {
	const sentence =
		"The endpoint was made inactive while its replay was under way; retry this job once it is active again.";
	return new AppError("conflict", "webhook_endpoint.inactive", sentence);
}
