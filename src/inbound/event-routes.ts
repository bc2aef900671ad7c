import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers, cutPage, ListQuery, readPage } from "../http/wire.ts";
import { findProvider } from "../integrations/find-provider.ts";
import { getIntegration } from "../integrations/get-integration.ts";
import type { Integration } from "../integrations/integration.ts";
import { getInbound } from "./get-inbound.ts";
import { listInbound } from "./list-inbound.ts";
import { replayInbound } from "./replay-inbound.ts";
import {
	InboundListWire,
	InboundWire,
	toInboundSummaryWire,
	toInboundWire,
	toRejectionsWire,
} from "./wire.ts";

const tags = ["Integrations"];
const pageSize = 25;
const read = { access: { scope: "projects:read", reach: "project" } } as const;
const params = Type.Object({
	projectID: Type.Unsafe<ProjectId>(Type.String()),
	provider: Type.String({ description: "As in `clerk`." }),
});
const oneParams = Type.Object({ ...params.properties, inboundEventID: Type.String() });

/** What customers see of the webhooks that an integration received. */
export function inboundEventRoutes(app: Api, ctx: Context): void {
	app.get("/v1/projects/:projectID/integrations/:provider/events", {
		config: read,
		schema: {
			tags,
			operationId: "listIntegrationEvents",
			params,
			querystring: ListQuery,
			response: answers({ 200: InboundListWire }),
		},
		handler: async (request) => {
			const { id: integrationId } = await integrationOf(ctx, request.params);
			const page = readPage("inb", request.query, pageSize);
			const limit = page.limit ?? pageSize;
			const { webhooks, rejections } = await listInbound(ctx, { integrationId, page: { ...page, limit } });
			const cut = cutPage(webhooks, limit);
			const events = cut.rows.map(toInboundSummaryWire);
			return { events, next_cursor: cut.nextCursor, rejections: toRejectionsWire(rejections) };
		},
	});

	app.get("/v1/projects/:projectID/integrations/:provider/events/:inboundEventID", {
		config: read,
		schema: {
			tags,
			operationId: "getIntegrationEvent",
			params: oneParams,
			response: answers({ 200: Type.Object({ event: InboundWire }) }),
		},
		handler: async (request) => {
			const { id: integrationId } = await integrationOf(ctx, request.params);
			const webhook = await getInbound(ctx, { integrationId, id: request.params.inboundEventID });
			return { event: toInboundWire(webhook) };
		},
	});

	app.post("/v1/projects/:projectID/integrations/:provider/events/:inboundEventID/replay", {
		config: { access: { scope: "projects:write", reach: "project" } },
		schema: {
			tags,
			operationId: "replayIntegrationEvent",
			params: oneParams,
			response: answers({ 202: Type.Object({ event: InboundWire }) }),
		},
		handler: async (request, reply) => {
			const integration = await integrationOf(ctx, request.params);
			const { inboundEventID: id } = request.params;
			const webhook = await replayInbound(ctx, { integration, id, actor: actorOf(request.principal) });
			return reply.code(202).send({ event: toInboundWire(webhook) });
		},
	});
}

function integrationOf(
	ctx: Context,
	params: { projectID: ProjectId; provider: string },
): Promise<Integration> {
	const provider = findProvider(ctx, params);
	return getIntegration(ctx, { projectId: params.projectID, provider });
}
