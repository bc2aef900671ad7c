import { AppError } from "../core/errors.ts";

export function tooManyKeys(max: number): AppError {
	const sentence = `An organization can have ${max.toLocaleString("en")} API keys in force; revoke one first.`;
	return new AppError("conflict", "api_key.limit", sentence);
}
