import { ProviderError } from "../providers/errors.ts";
import { fromProviderError } from "./errors.ts";

/** What a provider is asked for while a caller waits: a refusal becomes a 400, an outage a 502. */
export async function atProvider<Result>(ask: () => Promise<Result>): Promise<Result> {
	try {
		return await ask();
	} catch (error) {
		throw error instanceof ProviderError ? fromProviderError(error) : error;
	}
}
