import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers } from "../http/wire.ts";
import { browserCookie } from "./browser-cookie.ts";
import { findPlatform, requireProvider } from "./find-platform.ts";
import { startOAuth } from "./start-oauth.ts";

/** Where a caller begins; the browser comes back at `callback-routes.ts`. */
export function oauthRoutes(app: Api, ctx: Context): void {
	app.get("/v1/integrations/:provider/oauth/start", {
		config: { access: { scope: "projects:write", reach: "project", projectInQuery: true } },
		preValidation: async (request) => void requireProvider(ctx, request.params.provider),
		schema: {
			tags: ["Integrations"],
			operationId: "startOAuth",
			description:
				"Send the user's browser to `authorize_url` within 10 minutes; it is good once. The cookie of this answer lets " +
				"the same browser finish without being asked; any other is shown what it is about to connect.",
			params: Type.Object({ provider: Type.String({ description: "`vercel` or `netlify`." }) }),
			querystring: Type.Object({
				project_id: Type.Unsafe<ProjectId>(Type.String({ description: "The project to connect." })),
			}),
			response: answers({ 200: Type.Object({ authorize_url: Type.String() }) }),
		},
		handler: async (request, reply) => {
			const provider = findPlatform(ctx, request.params.provider);
			const { authorizeUrl, browserKey } = await startOAuth(ctx, {
				projectId: request.query.project_id,
				provider,
				actor: actorOf(request.principal),
			});
			reply.header("set-cookie", browserCookie(ctx, provider).set(browserKey));
			return { authorize_url: authorizeUrl };
		},
	});
}
