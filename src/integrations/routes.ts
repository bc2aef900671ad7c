import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers, cutPage, ListQuery, nextCursor, readPage } from "../http/wire.ts";
import { JobAnswer, JobWire, toJobWire } from "../jobs/wire.ts";
import type { AuthProvider } from "../providers/provider.ts";
import { connectIntegration } from "./connect-integration.ts";
import { deleteIntegration } from "./delete-integration.ts";
import { findProvider, operationName } from "./find-provider.ts";
import { listIntegrations } from "./list-integrations.ts";
import { listResources } from "./platforms/list-resources.ts";
import { platformRoutes } from "./platforms/platform-routes.ts";
import { ResourceWire, toResourceWire } from "./platforms/platform-wire.ts";
import { putIntegration } from "./put-integration.ts";
import { syncIntegration } from "./sync-integration.ts";
import {
	fromConnectBody,
	fromPutIntegrationBody,
	IntegrationWire,
	putIntegrationBody,
	toIntegrationWire,
} from "./wire.ts";

const tags = ["Integrations"];
const read = { access: { scope: "projects:read", reach: "project" } } as const;
const write = { access: { scope: "projects:write", reach: "project" } } as const;
const projectParams = Type.Object({ projectID: Type.Unsafe<ProjectId>(Type.String()) });
const params = Type.Object({
	projectID: Type.Unsafe<ProjectId>(Type.String()),
	provider: Type.String({ description: "As in `clerk`." }),
});

export function integrationRoutes(app: Api, ctx: Context): void {
	listRoute(app, ctx);
	putRoute(app, ctx);
	platformRoutes(app, ctx);
	for (const provider of ctx.providers.auth) {
		for (const [at, pathName] of provider.pathNames.entries()) {
			connectRoute(app, ctx, { provider, pathName, isMain: at === 0 });
		}
	}
	deleteRoute(app, ctx);
	syncRoute(app, ctx);
	resourcesRoute(app, ctx);
}

function listRoute(app: Api, ctx: Context): void {
	app.get("/v1/projects/:projectID/integrations", {
		config: read,
		schema: {
			tags,
			operationId: "listIntegrations",
			params: projectParams,
			querystring: ListQuery,
			response: answers({
				200: Type.Object({ integrations: Type.Array(IntegrationWire), next_cursor: nextCursor }),
			}),
		},
		handler: async (request) => {
			const page = readPage("int", request.query, null);
			const cut = cutPage(
				await listIntegrations(ctx, { projectId: request.params.projectID, page }),
				page.limit,
			);
			const integrations = cut.rows.map((integration) => toIntegrationWire(ctx, integration));
			return { integrations, next_cursor: cut.nextCursor };
		},
	});
}

function putRoute(app: Api, ctx: Context): void {
	app.put("/v1/projects/:projectID/integrations/:provider", {
		config: write,
		preValidation: async (request) => void findProvider(ctx, request.params),
		schema: {
			tags,
			operationId: "putIntegration",
			params,
			body: putIntegrationBody(ctx.providers.all),
			response: answers({
				200: Type.Object({
					integration: IntegrationWire,
					plaintext_webhook_signing_secret: Type.Optional(
						Type.String({ description: "A signing secret that was made now; not shown again." }),
					),
				}),
				502: Type.Ref("Error", { description: "The provider cannot be reached just now." }),
			}),
		},
		handler: async (request) => {
			const provider = findProvider(ctx, request.params);
			const { integration, madeSigningSecret } = await putIntegration(ctx, {
				projectId: request.params.projectID,
				provider,
				put: fromPutIntegrationBody(provider, request.body),
				actor: actorOf(request.principal),
			});
			return {
				integration: toIntegrationWire(ctx, integration),
				...(madeSigningSecret === null ? {} : { plaintext_webhook_signing_secret: madeSigningSecret }),
			};
		},
	});
}

type ConnectRoute = { provider: AuthProvider; pathName: string; isMain: boolean };

/** One for each provider that is connected with credentials; its other names work too, undocumented. */
function connectRoute(app: Api, ctx: Context, { provider, pathName, isMain }: ConnectRoute): void {
	if (provider.connectBody === null) return;
	app.post(`/v1/projects/:projectID/integrations/${pathName}/connect`, {
		config: write,
		schema: {
			tags,
			...(isMain ? { operationId: `connect${operationName(provider)}` } : { hide: true }),
			params: projectParams,
			body: Type.Unsafe<Record<string, unknown>>(provider.connectBody),
			response: answers({
				201: Type.Object({ integration: IntegrationWire, job: JobWire }),
				502: Type.Ref("Error", { description: "The provider cannot be reached just now." }),
			}),
		},
		handler: async (request, reply) => {
			const { integration, job } = await connectIntegration(ctx, {
				projectId: request.params.projectID,
				provider,
				...fromConnectBody(provider, request.body),
				actor: actorOf(request.principal),
			});
			return reply.code(201).send({ integration: toIntegrationWire(ctx, integration), job: toJobWire(job) });
		},
	});
}

function deleteRoute(app: Api, ctx: Context): void {
	app.delete("/v1/projects/:projectID/integrations/:provider", {
		config: write,
		schema: {
			tags,
			operationId: "deleteIntegration",
			params,
			response: answers({ 200: Type.Object({ deleted: Type.Literal(true) }) }),
		},
		handler: async (request) => {
			const provider = findProvider(ctx, request.params);
			const { projectID: projectId } = request.params;
			await deleteIntegration(ctx, { projectId, provider, actor: actorOf(request.principal) });
			return { deleted: true as const };
		},
	});
}

function syncRoute(app: Api, ctx: Context): void {
	app.post("/v1/projects/:projectID/integrations/:provider/sync", {
		config: write,
		schema: {
			tags,
			operationId: "syncIntegration",
			params,
			response: answers({ 202: JobAnswer }),
		},
		handler: async (request, reply) => {
			const provider = findProvider(ctx, request.params);
			const { projectID: projectId } = request.params;
			const job = await syncIntegration(ctx, { projectId, provider, actor: actorOf(request.principal) });
			return reply.code(202).send({ job: toJobWire(job) });
		},
	});
}

function resourcesRoute(app: Api, ctx: Context): void {
	app.get("/v1/projects/:projectID/integrations/:provider/resources", {
		config: write,
		schema: {
			tags,
			operationId: "listIntegrationResources",
			params,
			response: answers({
				200: Type.Object({ resources: Type.Array(ResourceWire) }),
				502: Type.Ref("Error", { description: "The platform cannot be reached just now." }),
			}),
		},
		handler: async (request) => {
			const provider = findProvider(ctx, request.params);
			const resources = await listResources(ctx, { projectId: request.params.projectID, provider });
			return { resources: resources.map(toResourceWire) };
		},
	});
}
