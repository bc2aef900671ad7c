import { pino } from "pino";
import type { Log } from "../core/log.ts";

/**
 * JSON lines on standard output, or on standard error where that is for results. Secrets never get here; these paths
 * are a second line of defence.
 */
export function createLog(options: { level: string; replica: string; to?: "stdout" | "stderr" }): Log {
	const settings = {
		level: options.level,
		base: { replica: options.replica },
		timestamp: pino.stdTimeFunctions.isoTime,
		redact: { paths: ["*.password", "*.token", "*.secret", "*.authorization"], censor: "[redacted]" },
		serializers: { err: describeError },
	};
	return options.to === "stderr" ? pino(settings, pino.destination({ fd: 2, sync: true })) : pino(settings);
}

/** Type, message, code and stack of an error and of its causes; never the values of a failed statement. */
function describeError(error: unknown): unknown {
	if (!(error instanceof Error)) return error;
	const { code } = error as { code?: unknown };
	// Drizzle puts the statement's parameters into its message, and with it into the stack; those may be personal data
	// or sealed values, of as many lines as they like.
	const message = error.message.replace(/\nparams: [\s\S]*$/, "");
	return {
		type: error.name,
		message,
		...(code === undefined ? {} : { code }),
		...(error.stack?.includes(error.message) && { stack: error.stack.replace(error.message, () => message) }),
		...(error instanceof AggregateError && { errors: error.errors.map(describeError) }),
		...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
	};
}
