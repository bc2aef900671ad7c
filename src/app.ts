import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import fastify, {
	type FastifyBaseLogger,
	type FastifyInstance,
	type FastifyReply,
	type FastifyRequest,
	LogController,
	type RawReplyDefaultExpression,
	type RawRequestDefaultExpression,
	type RawServerDefault,
} from "fastify";
import { apiKeyRoutes } from "./api-keys/routes.ts";
import { createRefusalRecorder } from "./audit/refusal-recorder.ts";
import { auditRoutes } from "./audit/routes.ts";
import { findPrincipal } from "./authenticate.ts";
import type { Context } from "./context.ts";
import { newRequestId } from "./core/ids.ts";
import type { Log } from "./core/log.ts";
import { replayRoutes } from "./deliveries/replay/replay-routes.ts";
import { deliveryRoutes } from "./deliveries/routes.ts";
import { deploymentRoutes } from "./deployments/routes.ts";
import { repush } from "./env-sync/enqueue-push.ts";
import { eventCatalogue } from "./event-catalogue.ts";
import { eventTypeRoutes } from "./events/event-type-routes.ts";
import { eventRoutes } from "./events/routes.ts";
import { useAccess } from "./http/access.ts";
import { useJsonBodies, useRawBodies } from "./http/body.ts";
import { answerClientErrors, useRequestRules } from "./http/client-error.ts";
import { useClosing } from "./http/closing.ts";
import { useCors } from "./http/cors.ts";
import { answerError, useErrorHandler } from "./http/error-handler.ts";
import { healthRoutes, type ReadinessCheck } from "./http/health.ts";
import { apiMax, inboundMax, type Load, useLoadShedding } from "./http/load-shedding.ts";
import { trackMethods } from "./http/method-not-allowed.ts";
import { metricsRoute, type Scrape, useRequestMetrics } from "./http/metrics.ts";
import { useOpenApi } from "./http/openapi.ts";
import { useAddressLimit } from "./http/rate-limit.ts";
import { useRequestLog } from "./http/request-log.ts";
import { useSchemas } from "./http/schemas.ts";
import { useRequestTracing } from "./http/tracing.ts";
import { inboundEventRoutes } from "./inbound/event-routes.ts";
import { inboundRoutes } from "./inbound/routes.ts";
import { integrationRoutes } from "./integrations/routes.ts";
import { jobRoutes } from "./jobs/routes.ts";
import { createLocators } from "./locators.ts";
import { meRoutes } from "./me/routes.ts";
import { oauthCallbackRoutes } from "./oauth/callback-routes.ts";
import { oauthRoutes } from "./oauth/routes.ts";
import { organizationRoutes } from "./organizations/routes.ts";
import { previewRoutes } from "./previews/routes.ts";
import { projectRoutes } from "./projects/routes.ts";
import { userRoutes } from "./user-sync/routes.ts";
import { endpointRoutes } from "./webhook-endpoints/routes.ts";

export type Api = FastifyInstance<
	RawServerDefault,
	RawRequestDefaultExpression,
	RawReplyDefaultExpression,
	FastifyBaseLogger,
	TypeBoxTypeProvider
>;

const bodyBytesMax = 256 * 1024;
const inboundBytesMax = 5 * 1024 * 1024;
const closingGraceMs = 20_000;
/** Head and body together: what drips in for longer is a 408. */
const requestTimeoutMs = 30_000;

/** What the app has to know of the process around it. */
export type Surroundings = {
	checks: Record<string, ReadinessCheck>;
	load(scope: "api" | "inbound"): Load;
	scrape: Scrape;
	/** How long it still takes requests when it is closed while somebody uses it. */
	drainMs: number;
};

/**
 * The HTTP server in four scopes: public, what providers post, what browsers come back to, and the API for known
 * callers. Never listens.
 */
export async function buildApp(ctx: Context, surroundings: Surroundings): Promise<Api> {
	const app: Api = fastify({
		loggerInstance: fastifyLog(ctx.log),
		logController: new LogController({ disableRequestLogging: true }),
		bodyLimit: bodyBytesMax,
		trustProxy: trustedHops(ctx.config.trustProxy),
		genReqId: newRequestId,
		requestTimeout: requestTimeoutMs,
		http: {
			requireHostHeader: false,
			headersTimeout: requestTimeoutMs,
			connectionsCheckingInterval: requestTimeoutMs / 6,
		},
		keepAliveTimeout: 65_000,
		forceCloseConnections: "idle",
		return503OnClosing: false,
		rewriteUrl: (request) => withoutPrefix(request.url ?? "/", ctx.publicUrl()),
		routerOptions: { maxParamLength: 500, ignoreTrailingSlash: true },
		frameworkErrors: answerError,
		clientErrorHandler: answerClientErrors(ctx.log),
	}).withTypeProvider<TypeBoxTypeProvider>();
	const methods = trackMethods(app);
	useSchemas(app);
	useErrorHandler(app);
	useRequestTracing(app, ctx.tracing);
	useRequestRules(app);
	useRequestLog(app, ctx.log);
	useRequestMetrics(app, ctx.meters.request);
	const { checks, load, scrape, drainMs } = surroundings;
	useClosing(app, { drainMs, graceMs: closingGraceMs });
	useCors(app, ctx.config.corsOrigins);
	await useOpenApi(app, { serverUrl: ctx.publicUrl, webhooks: eventCatalogue() });

	healthRoutes(app, checks);
	if (ctx.config.metricsToken !== null) metricsRoute(app, ctx.config.metricsToken, scrape);
	await app.register(async (inbound) => inboundScope(inbound as Api, ctx, () => load("inbound")));
	await app.register(async (pages) => pageScope(pages as Api, ctx));
	await app.register(async (api) => apiScope(api as Api, ctx, () => load("api")));

	methods.close();
	return app;
}

/** What providers post: raw bytes, judged by their signatures. */
function inboundScope(app: Api, ctx: Context, load: () => Load): void {
	useRawBodies(app, inboundBytesMax);
	app.addHook("onRequest", noStore);
	const onShed = () => ctx.meters.shed("inbound");
	useLoadShedding(app, { load, max: inboundMax, retryAfterSeconds: 5, onShed });
	inboundRoutes(app, ctx);
}

/** What browsers are sent to, without a credential of ours. */
function pageScope(app: Api, ctx: Context): void {
	useAddressLimit(app, ctx.config.rateLimitPerSecond);
	oauthCallbackRoutes(app, ctx);
}

/** Everything behind a credential. */
function apiScope(app: Api, ctx: Context, load: () => Load): void {
	const refusals = createRefusalRecorder(ctx);
	app.addHook("onClose", () => refusals.flush());
	app.addHook("onRequest", noStore);
	useLoadShedding(app, { load, max: apiMax, retryAfterSeconds: 2, onShed: () => ctx.meters.shed("api") });
	useJsonBodies(app);
	useAccess(app, {
		findPrincipal: (credential) => findPrincipal(ctx, credential),
		locators: createLocators(ctx),
		ratePerSecond: ctx.config.rateLimitPerSecond,
		onRefused: refusals.record,
	});
	meRoutes(app, ctx);
	organizationRoutes(app, ctx);
	apiKeyRoutes(app, ctx);
	auditRoutes(app, ctx);
	projectRoutes(app, ctx, { repush: repush(ctx) });
	previewRoutes(app, ctx);
	jobRoutes(app, ctx);
	integrationRoutes(app, ctx);
	oauthRoutes(app, ctx);
	inboundEventRoutes(app, ctx);
	userRoutes(app, ctx);
	deploymentRoutes(app, ctx);
	eventRoutes(app, ctx);
	eventTypeRoutes(app, eventCatalogue());
	endpointRoutes(app, ctx);
	deliveryRoutes(app, ctx);
	replayRoutes(app, ctx);
}

async function noStore(_request: FastifyRequest, reply: FastifyReply): Promise<void> {
	reply.header("cache-control", "no-store");
}

/** `PUBLIC_URL` may carry a path: routes are served with it and without. */
function withoutPrefix(url: string, publicUrl: string): string {
	const prefix = new URL(publicUrl).pathname.replace(/\/+$/, "");
	const hasPrefix =
		prefix !== "" && (url === prefix || url.startsWith(`${prefix}/`) || url.startsWith(`${prefix}?`));
	if (!hasPrefix) return url;
	const rest = url.slice(prefix.length);
	return rest.startsWith("/") ? rest : `/${rest}`;
}

/** Fastify insists on two levels that the house does not write. */
function fastifyLog(log: Log): FastifyBaseLogger {
	const levels = {
		level: "info",
		silent: () => undefined,
		trace: () => undefined,
		debug: log.debug.bind(log),
		info: log.info.bind(log),
		warn: log.warn.bind(log),
		error: log.error.bind(log),
		fatal: log.error.bind(log),
		child: (fields: Record<string, unknown>) => fastifyLog(log.child(fields)),
	};
	return levels as unknown as FastifyBaseLogger;
}

function trustedHops(trustProxy: boolean | number | string) {
	return typeof trustProxy === "number" ? (_address: string, hop: number) => hop < trustProxy : trustProxy;
}
