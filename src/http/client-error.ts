import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { AppError } from "../core/errors.ts";
import { newRequestId } from "../core/ids.ts";
import type { Log } from "../core/log.ts";

type Refusal = { status: number; reason: string; code: string; sentence: string };

const malformed: Refusal = {
	status: 400,
	reason: "Bad Request",
	code: "request.malformed",
	sentence: "The request is not HTTP that this server reads.",
};
const refusals: Record<string, Refusal> = {
	ERR_HTTP_REQUEST_TIMEOUT: {
		status: 408,
		reason: "Request Timeout",
		code: "request.timeout",
		sentence: "The request did not arrive in time.",
	},
	HPE_HEADER_OVERFLOW: {
		status: 431,
		reason: "Request Header Fields Too Large",
		code: "request.headers_too_large",
		sentence: "The path, the query or a header is too long.",
	},
};

/**
 * Answers what never became a request, in the shape of every other refusal, and ends the connection: after a fault
 * nobody knows where the next request would begin.
 */
export function answerClientErrors(log: Log): (error: Error & { code?: string }, socket: Socket) => void {
	return (error, socket) => {
		const isGone = error.code === "ECONNRESET" || socket.destroyed || !socket.writable;
		if (isGone) return void socket.destroy();
		const { status, reason, code, sentence } = refusals[error.code ?? ""] ?? malformed;
		const requestId = newRequestId();
		const body = JSON.stringify({ error: sentence, code, request_id: requestId });
		const head = [
			`HTTP/1.1 ${status} ${reason}`,
			"content-type: application/json; charset=utf-8",
			`content-length: ${Buffer.byteLength(body)}`,
			"cache-control: no-store",
			`x-request-id: ${requestId}`,
			"connection: close",
		];
		log.info({ request_id: requestId, status, code }, "an unreadable request");
		socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
	};
}

/**
 * What Node would answer by itself with an empty body: a request without a host or with two is refused (RFC 9112,
 * 3.2), and an `Expect` that nobody knows is passed over (RFC 9110, 10.1.1, lets a server do so).
 */
export function useRequestRules(app: FastifyInstance): void {
	app.server.on("checkExpectation", (request, response) => app.server.emit("request", request, response));
	app.addHook("onRequest", async ({ raw }) => {
		const hosts = raw.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host").length;
		if (raw.httpVersion !== "1.1" || hosts === 1) return;
		throw new AppError("invalid", "host.invalid", "Send one `Host` header, no more and no less.");
	});
}
