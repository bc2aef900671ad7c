import { AppError } from "../core/errors.ts";
import type { ProviderError } from "../providers/errors.ts";

/** What a failed call to a provider means for the request that made it: our sentence, the vendor's code and status. */
export function fromProviderError(error: ProviderError): AppError {
	const said = [
		error.status === undefined ? [] : [`status ${error.status}`],
		error.vendorCode === undefined ? [] : [`code ${error.vendorCode}`],
	].flat();
	const sentence =
		said.length === 0 ? error.message : `${error.message} (${error.provider}: ${said.join(", ")})`;
	switch (error.reason) {
		case "rate_limited":
		case "unavailable":
		case "unexpected_answer": {
			const { retryAfterSeconds } = error;
			const wait = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
			return new AppError("upstream", `provider.${error.reason}`, sentence, { cause: error, ...wait });
		}
		default:
			return new AppError("refused_upstream", `provider.${error.reason}`, sentence, { cause: error });
	}
}

export function integrationDisabled(): AppError {
	return new AppError(
		"conflict",
		"integration.disabled",
		"The integration is disabled; set `state` to `active` first.",
	);
}

export function integrationGone(): AppError {
	return new AppError("conflict", "integration.disconnected", "The integration was disconnected.");
}
