import type { FastifyInstance } from "fastify";
import { AppError, invalid } from "../core/errors.ts";

declare module "fastify" {
	interface FastifyContextConfig {
		/** Keep the body's text beside its value, for routes that pass the caller's bytes on. */
		keepText?: boolean;
	}
	interface FastifyRequest {
		bodyText: string;
	}
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

/** JSON bodies: strict UTF-8, an absent body reads as `{}`. */
export function useJsonBodies(app: FastifyInstance): void {
	app.decorateRequest("bodyText", "");
	app.removeAllContentTypeParsers();
	app.addContentTypeParser(
		"application/json",
		{ parseAs: "buffer" },
		async (request: unknown, body: Buffer) => {
			const text = decode(body);
			const target = request as { bodyText: string; routeOptions: { config: { keepText?: boolean } } };
			if (target.routeOptions.config.keepText) target.bodyText = text;
			return text.trim() === "" ? {} : parse(text);
		},
	);
	app.addHook("preValidation", async (request) => {
		if (request.body === undefined) request.body = {};
		if (!request.routeOptions.schema?.body) refuseFields(request.body);
	});
}

/** Raw bytes, whatever the content type says: what providers sign. */
export function useRawBodies(app: FastifyInstance, bytesMax: number): void {
	app.removeAllContentTypeParsers();
	app.addContentTypeParser(
		"*",
		{ parseAs: "buffer", bodyLimit: bytesMax },
		async (_request: unknown, body: Buffer) => body,
	);
}

/** Of a route that takes no fields. */
function refuseFields(body: unknown): void {
	if (typeof body !== "object" || body === null || Array.isArray(body)) {
		throw new AppError("invalid", "body.invalid", "The body must be an object.");
	}
	const [field] = Object.keys(body);
	if (field === undefined) return;
	throw invalid(field, `\`${field.slice(0, 100)}\` is not a field of this request.`);
}

function decode(body: Buffer): string {
	try {
		return utf8.decode(body);
	} catch (error) {
		throw new AppError("invalid", "body.invalid", "The body is not valid UTF-8.", { cause: error });
	}
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch (error) {
		throw new AppError("invalid", "body.invalid", "The body is not valid JSON.", { cause: error });
	}
}
