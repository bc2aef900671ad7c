import type { FastifyInstance } from "fastify";
import { AppError } from "../core/errors.ts";

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
		if (request.body === undefined || request.body === null) request.body = request.body === null ? null : {};
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
