import type {
	FastifyError,
	FastifyInstance,
	FastifyReply,
	FastifyRequest,
	FastifySchemaValidationError,
} from "fastify";
import { AppError, type ErrorKind, invalid } from "../core/errors.ts";
import { isOutage } from "../platform/db-errors.ts";

const statuses: Record<ErrorKind, number> = {
	invalid: 400,
	unauthenticated: 401,
	forbidden: 403,
	not_found: 404,
	method_not_allowed: 405,
	conflict: 409,
	too_large: 413,
	unsupported: 415,
	rate_limited: 429,
	refused_upstream: 400,
	upstream: 502,
	unavailable: 503,
	internal: 500,
};

/** Every refusal leaves here: one body, one place that picks the status. */
export function useErrorHandler(app: FastifyInstance): void {
	app.setErrorHandler(answerError);
	app.setNotFoundHandler((request, reply) => sendError(request, reply, noSuchRoute()));
}

function noSuchRoute(): AppError {
	return new AppError("not_found", "route.not_found", "There is no such route.");
}

/** Turns any error into its answer; a bug is logged here, once. */
export function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
	const refusal = toAppError(error);
	if (refusal.kind === "internal") request.log.error({ err: error }, "a request failed");
	return sendError(request, reply, refusal);
}

/** Writes a refusal as the answer. */
export function sendError(request: FastifyRequest, reply: FastifyReply, error: AppError) {
	if (error.retryAfterSeconds !== undefined) reply.header("retry-after", String(error.retryAfterSeconds));
	if (error.kind === "unauthenticated") reply.header("www-authenticate", "Bearer");
	return reply
		.code(statuses[error.kind])
		.type("application/json; charset=utf-8")
		.send(JSON.stringify({ error: error.message, code: error.code, request_id: request.id }));
}

function toAppError(error: FastifyError): AppError {
	if (error instanceof AppError) return error;
	if (error.validation) return refusalOf(error.validation[0]);
	switch (error.code) {
		case "FST_ERR_CTP_BODY_TOO_LARGE":
			return new AppError("too_large", "body.too_large", "The body is larger than this route takes.");
		case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
			return new AppError("unsupported", "body.unsupported", "The body must be sent as application/json.");
		case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
			return new AppError("invalid", "body.invalid", "The body is not as long as Content-Length says.");
		case "FST_ERR_MAX_PARAM_LENGTH":
			return noSuchRoute();
		case "FST_ERR_BAD_URL":
			return new AppError("invalid", "url.invalid", "The path holds a malformed percent escape.");
		default:
			return fromOutage(error);
	}
}

/** Our own database away or overloaded is a 503: the caller should come back. Anything else is a bug. */
function fromOutage(error: FastifyError): AppError {
	if (isOutage(error)) {
		const sentence = "The server's database cannot be reached just now; try again shortly.";
		return new AppError("unavailable", "database.unavailable", sentence, {
			cause: error,
			retryAfterSeconds: 2,
		});
	}
	if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
		return new AppError("invalid", "request.invalid", "The request could not be read.", { cause: error });
	}
	return new AppError("internal", "server.error", "Something went wrong on our side.", { cause: error });
}

type Fault = Pick<FastifySchemaValidationError, "keyword" | "instancePath" | "params" | "message">;

/** The refusal of what a schema does not allow. */
export function refusalOf(fault: Fault | undefined): AppError {
	const path = (fault?.instancePath ?? "").split("/").filter(Boolean).join(".");
	const params = (fault?.params ?? {}) as Record<string, unknown>;
	const inside = (name: unknown) => (path === "" ? String(name) : `${path}.${String(name)}`);
	switch (fault?.keyword) {
		case "required":
			return invalidField(inside(params.missingProperty), "is required");
		case "additionalProperties":
			return invalidField(inside(params.additionalProperty).slice(0, 100), "is not a field of this request");
		case "enum":
			return invalidField(path, `must be one of ${(params.allowedValues as unknown[]).join(", ")}`);
		default:
			return path === ""
				? new AppError("invalid", "body.invalid", `The body ${fault?.message ?? "is not valid"}.`)
				: invalidField(path, fault?.message ?? "is not valid");
	}
}

function invalidField(field: string, complaint: string): AppError {
	return invalid(field, `\`${field}\` ${complaint}.`);
}
