import { AppError } from "../core/errors.ts";

export function payloadGone(): AppError {
	return new AppError("conflict", "delivery.payload_gone", "The payload of this event was erased.");
}

export function endpointInactive(): AppError {
	const sentence = "The endpoint is inactive: set `is_active` to true before sending it deliveries again.";
	return new AppError("conflict", "webhook_endpoint.inactive", sentence);
}
