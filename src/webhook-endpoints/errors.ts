import { AppError } from "../core/errors.ts";

export function tooManyEndpoints(max: number): AppError {
	const sentence = `An organization can have ${max.toLocaleString("en")} webhook endpoints; delete one first.`;
	return new AppError("conflict", "webhook_endpoint.limit", sentence);
}
