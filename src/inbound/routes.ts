import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import { AppError } from "../core/errors.ts";
import { answers } from "../http/wire.ts";
import { operationName } from "../integrations/find-provider.ts";
import type { AuthProvider } from "../providers/provider.ts";
import { receiveWebhook } from "./receive-webhook.ts";
import { createRejectionRecorder, type RejectionRecorder } from "./rejection-recorder.ts";
import { createWaker } from "./wake-integration.ts";
import { ReceivedWire } from "./wire.ts";

const tags = ["Integrations"];
const busySeconds = 5;

/** What providers call. For the scope of raw bodies: no credentials of ours, the provider's signature counts. */
export function inboundRoutes(app: Api, ctx: Context): void {
	const rejections = createRejectionRecorder(ctx);
	const wake = createWaker(ctx);
	app.addHook("onClose", () => rejections.flush());
	for (const provider of ctx.providers.auth) {
		for (const [at, pathName] of provider.pathNames.entries()) {
			receiveRoute(app, ctx, { provider, pathName, isMain: at === 0, rejections, wake });
		}
	}
}

type ReceiveRoute = {
	provider: AuthProvider;
	pathName: string;
	isMain: boolean;
	rejections: RejectionRecorder;
	wake: ReturnType<typeof createWaker>;
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
			try {
				const waiting = await receiveWebhook(ctx, rejections, {
					provider,
					projectId,
					rawBody,
					headers,
					address,
				});
				ctx.meters.inbound(provider.id, waiting ? "new" : "no_effect");
				if (waiting) wake(waiting);
				return { received: true as const };
			} catch (error) {
				const refusal = error instanceof AppError ? error : ourTrouble(ctx, error);
				ctx.meters.inbound(provider.id, refusal.code);
				throw refusal;
			}
		},
	});
}

/** Whatever it is, the provider should try again. */
function ourTrouble(ctx: Pick<Context, "log">, cause: unknown): AppError {
	ctx.log.error({ err: cause }, "a webhook could not be received");
	const sentence = "The webhook could not be stored just now; try again shortly.";
	return new AppError("unavailable", "webhook.unavailable", sentence, {
		cause,
		retryAfterSeconds: busySeconds,
	});
}
