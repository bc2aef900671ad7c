import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import { AppError } from "../core/errors.ts";
import type { IntegrationId } from "../core/ids.ts";
import { answers } from "../http/wire.ts";
import { operationName } from "../integrations/find-provider.ts";
import type { DeploymentProvider } from "../providers/deployment-provider.ts";
import type { AuthProvider } from "../providers/provider.ts";
import { unavailable } from "./errors.ts";
import { createIntegrationWaker } from "./integration-waker.ts";
import { createKnownIntegrations, type KnownIntegrations } from "./known-integrations.ts";
import { receivePlatformWebhook } from "./receive-platform-webhook.ts";
import { receiveWebhook } from "./receive-webhook.ts";
import { createRejectionRecorder, type RejectionRecorder } from "./rejection-recorder.ts";
import { ReceivedWire } from "./wire.ts";

const tags = ["Integrations"];
/** Before the most impatient provider hangs up: Clerk and Standard Webhooks' senders wait for 15 s. */
const answerWithinMs = 8_000;

/** What providers call. For the scope of raw bodies: no credentials of ours, the provider's signature counts. */
export function inboundRoutes(app: Api, ctx: Context): void {
	const rejections = createRejectionRecorder(ctx);
	const known = createKnownIntegrations(ctx);
	const wake = createIntegrationWaker(ctx);
	app.addHook("onClose", () => rejections.flush());
	for (const provider of ctx.providers.auth) {
		for (const [at, pathName] of provider.pathNames.entries()) {
			receiveRoute(app, ctx, { provider, pathName, isMain: at === 0, rejections, wake });
		}
	}
	for (const provider of ctx.providers.deployment) {
		for (const [at, pathName] of provider.pathNames.entries()) {
			receivePlatformRoute(app, ctx, { provider, pathName, isMain: at === 0, rejections, known, wake });
		}
	}
}

type ReceiveRoute = {
	provider: AuthProvider;
	pathName: string;
	isMain: boolean;
	rejections: RejectionRecorder;
	wake: ReturnType<typeof createIntegrationWaker>;
};

function receiveRoute(
	app: Api,
	ctx: Context,
	{ provider, pathName, isMain, rejections, wake }: ReceiveRoute,
): void {
	app.post(`/v1/integrations/${pathName}/webhook/:projectID`, {
		schema: {
			tags,
			security: [],
			...(isMain ? { operationId: `receive${operationName(provider)}` } : { hide: true }),
			params: Type.Object({ projectID: Type.String() }),
			response: answers({ 200: ReceivedWire }),
		},
		handler: async (request) => {
			const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
			const { projectID: projectId } = request.params;
			const { headers, ip: address } = request;
			const input = { provider, projectId, rawBody, headers, address };
			return answer(ctx, { provider, wake }, receiveWebhook(ctx, rejections, input));
		},
	});
}

/** Asks for the effect of what was received, and counts the answer. Throws what the provider is to be told. */
async function answer(
	ctx: Pick<Context, "log" | "meters">,
	{ provider, wake }: { provider: { id: string }; wake: ReceiveRoute["wake"] },
	receiving: Promise<IntegrationId | null>,
): Promise<{ received: true }> {
	try {
		const waiting = await inTime(receiving);
		ctx.meters.inbound(provider.id, waiting ? "new" : "no_effect");
		if (waiting) wake(waiting);
		return { received: true };
	} catch (error) {
		const refusal = asRefusal(ctx, error);
		ctx.meters.inbound(provider.id, refusal.code);
		throw refusal;
	}
}

/** A database that hangs is our own trouble. What it stores later takes effect all the same, and its retry none. */
async function inTime<Result>(receiving: Promise<Result>): Promise<Result> {
	const late = Promise.withResolvers<never>();
	const timer = setTimeout(() => late.reject(unavailable()), answerWithinMs);
	try {
		return await Promise.race([receiving, late.promise]);
	} finally {
		clearTimeout(timer);
	}
}

function asRefusal(ctx: Pick<Context, "log">, error: unknown): AppError {
	if (error instanceof AppError) return error;
	ctx.log.error({ err: error }, "a webhook could not be received");
	return unavailable(error);
}

type PlatformRoute = Omit<ReceiveRoute, "provider"> & {
	provider: DeploymentProvider;
	known: KnownIntegrations;
};

function receivePlatformRoute(
	app: Api,
	ctx: Context,
	{ provider, pathName, isMain, rejections, known, wake }: PlatformRoute,
): void {
	app.post(`/v1/integrations/${pathName}/webhook/:projectID/:token`, {
		schema: {
			tags,
			security: [],
			...(isMain ? { operationId: `receive${operationName(provider)}` } : { hide: true }),
			params: Type.Object({ projectID: Type.String(), token: Type.String() }),
			querystring: Type.Object({
				event: Type.Optional(Type.String({ description: "What a hook of one event is for." })),
			}),
			response: answers({ 200: ReceivedWire }),
		},
		handler: async (request) => {
			const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
			const { params, query, headers, ip: address } = request;
			const { projectID: projectId, token } = params;
			const event = query.event ?? null;
			const input = { provider, projectId, token, event, rawBody, headers, address };
			return answer(ctx, { provider, wake }, receivePlatformWebhook(ctx, { rejections, known }, input));
		},
	});
}
