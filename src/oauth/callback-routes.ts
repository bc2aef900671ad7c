import { Type } from "@sinclair/typebox";
import type { FastifyReply } from "fastify";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import { answers } from "../http/wire.ts";
import type { Integration } from "../integrations/integration.ts";
import { browserCookie } from "./browser-cookie.ts";
import { confirmOAuth, declineOAuth } from "./confirm-oauth.ts";
import { notAForm } from "./errors.ts";
import { callbackUrl, findPlatform, type OAuthPlatform, requireProvider } from "./find-platform.ts";
import { beganElsewherePage, confirmationPage, declinedPage, donePage, styleHash } from "./pages.ts";
import { receiveCallback } from "./receive-callback.ts";

const path = "/v1/integrations/:provider/oauth";
const params = Type.Object({ provider: Type.String({ description: "`vercel` or `netlify`." }) });
const open = { tags: ["Integrations"], security: [], params };
const Page = Type.Unsafe<never>({
	description: "A page for the person at the browser.",
	content: { "text/html": { schema: Type.String() } },
});
const formBytesMax = 4096;

/** What browsers come back to, with no credential of ours: the state, or the confirmation, counts. */
export function oauthCallbackRoutes(app: Api, ctx: Context): void {
	useForms(app);
	app.addHook("onRequest", async (_request, reply) => {
		for (const [name, value] of Object.entries(pageHeaders(ctx))) reply.header(name, value);
	});
	callbackRoute(app, ctx);
	confirmRoute(app, ctx);
	doneRoute(app, ctx);
}

/** Bodies of HTML forms, and no others. */
function useForms(app: Api): void {
	app.removeAllContentTypeParsers();
	app.addContentTypeParser(
		"application/x-www-form-urlencoded",
		{ parseAs: "string", bodyLimit: formBytesMax },
		async (_request: unknown, body: string) => Object.fromEntries(new URLSearchParams(body)),
	);
	app.addContentTypeParser("*", async () => {
		throw notAForm();
	});
}

/** The address of the callback holds `code` and `state`, and its page a button that others must not put in a frame. */
function pageHeaders(ctx: Pick<Context, "config">): Record<string, string> {
	const { dashboardUrl } = ctx.config;
	// A redirect that answers a form is held to `form-action` too.
	const targets = ["'self'", ...(dashboardUrl === null ? [] : [new URL(dashboardUrl).origin])].join(" ");
	const policy = [
		"default-src 'none'",
		`style-src '${styleHash}'`,
		`form-action ${targets}`,
		"frame-ancestors 'none'",
		"base-uri 'none'",
	];
	return {
		"cache-control": "no-store",
		"referrer-policy": "no-referrer",
		"content-security-policy": policy.join("; "),
		"x-frame-options": "DENY",
		"x-content-type-options": "nosniff",
	};
}

function callbackRoute(app: Api, ctx: Context): void {
	app.get(`${path}/callback`, {
		preValidation: async (request) => void requireProvider(ctx, request.params.provider),
		schema: {
			...open,
			operationId: "receiveOAuthCallback",
			description:
				"Where a provider sends the browser back to. Redirects to the dashboard with `project_id`, `provider` and " +
				"`status`; a browser that did not begin the flow is shown a page to confirm it on.",
			querystring: Type.Object({
				code: Type.Optional(Type.String({ description: "What the provider grants access for, once." })),
				state: Type.Optional(Type.String({ description: "As the start gave it." })),
			}),
			response: browserAnswers(),
		},
		handler: async (request, reply) => {
			const provider = findPlatform(ctx, request.params.provider);
			const cookie = browserCookie(ctx, provider);
			const outcome = await receiveCallback(ctx, {
				provider,
				query: request.query,
				browserKey: cookie.read(request.headers.cookie),
			});
			switch (outcome.kind) {
				case "completed":
					reply.header("set-cookie", cookie.clear());
					return sendHome(reply, ctx, provider, outcome.integration);
				case "unconfirmed": {
					const { displayName } = provider;
					const action = callbackUrl(ctx, provider);
					return sendPage(reply, confirmationPage({ ...outcome, provider: displayName, action }));
				}
				case "began_elsewhere":
					return sendPage(reply, beganElsewherePage(provider.displayName, ctx.config.dashboardUrl));
			}
		},
	});
}

function confirmRoute(app: Api, ctx: Context): void {
	app.post(`${path}/callback`, {
		preValidation: async (request) => void requireProvider(ctx, request.params.provider),
		schema: {
			...open,
			operationId: "confirmOAuth",
			description: "What the page of the callback posts when its reader agrees, or does not.",
			consumes: ["application/x-www-form-urlencoded"],
			body: Type.Object({
				confirmation: Type.String({ minLength: 1, maxLength: 100 }),
				decision: Type.Unsafe<"connect" | "cancel">(Type.String({ enum: ["connect", "cancel"] })),
			}),
			response: browserAnswers(),
		},
		handler: async (request, reply) => {
			const provider = findPlatform(ctx, request.params.provider);
			const { confirmation, decision } = request.body;
			if (decision === "cancel") {
				await declineOAuth(ctx, { provider, confirmation });
				return sendPage(reply, declinedPage(provider.displayName));
			}
			return sendHome(reply, ctx, provider, await confirmOAuth(ctx, { provider, confirmation }));
		},
	});
}

function doneRoute(app: Api, ctx: Context): void {
	app.get(`${path}/done`, {
		schema: { params, querystring: Type.Object({ status: Type.Optional(Type.String()) }), hide: true },
		handler: async (request, reply) => {
			const { displayName } = requireProvider(ctx, request.params.provider);
			return sendPage(reply, donePage(displayName, request.query.status ?? ""));
		},
	});
}

function browserAnswers() {
	return answers({
		200: Page,
		302: Type.Null({ description: "To the dashboard." }),
		502: Type.Ref("Error", { description: "The provider cannot be reached just now." }),
	});
}

function sendPage(reply: FastifyReply, html: string): never {
	return reply.type("text/html; charset=utf-8").send(html) as never;
}

/** To the dashboard, or to the server's own page where the operator names none. */
function sendHome(
	reply: FastifyReply,
	ctx: Pick<Context, "config" | "publicUrl">,
	{ id, pathNames }: OAuthPlatform,
	{ projectId, state }: Integration,
): never {
	const own = `${ctx.publicUrl()}/v1/integrations/${pathNames[0]}/oauth/done`;
	const url = new URL(ctx.config.dashboardUrl ?? own);
	url.searchParams.set("project_id", projectId);
	url.searchParams.set("provider", id);
	url.searchParams.set("status", state);
	return reply.redirect(url.href, 302) as never;
}
