import { AppError } from "../core/errors.ts";
import { numeral } from "../core/numeral.ts";

export function tooManyEndpoints(max: number): AppError {
	const sentence = `An organization can have ${numeral(max)} webhook endpoints; delete one first.`;
	return new AppError("conflict", "webhook_endpoint.limit", sentence);
}
