import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { EndpointId, OrganizationId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers, cutPage, ListQuery, readPage } from "../http/wire.ts";
import { createEndpoint } from "./create-endpoint.ts";
import { deleteEndpoint } from "./delete-endpoint.ts";
import { getEndpoint } from "./get-endpoint.ts";
import { listEndpoints } from "./list-endpoints.ts";
import { rotateSecret } from "./rotate-secret.ts";
import { updateEndpoint } from "./update-endpoint.ts";
import {
	CreateEndpointBody,
	EndpointsWire,
	EndpointWire,
	fromEndpointBody,
	RotateSecretBody,
	toEndpointWire,
	UpdateEndpointBody,
} from "./wire.ts";

const tags = ["Webhooks"];
const organizationParams = Type.Object({ orgID: Type.Unsafe<OrganizationId>(Type.String()) });
const params = Type.Object({
	orgID: Type.Unsafe<OrganizationId>(Type.String()),
	endpointID: Type.Unsafe<EndpointId>(Type.String()),
});
const read = { access: { scope: "organizations:read", reach: "organization" } } as const;
const change = { access: { scope: "organizations:write", reach: "organization" } } as const;
const One = Type.Object({ webhook_endpoint: EndpointWire });
const WithSecret = Type.Object({ webhook_endpoint: EndpointWire, plaintext_secret: Type.String() });
const path = "/v1/organizations/:orgID/webhook-endpoints";

export function endpointRoutes(app: Api, ctx: Context): void {
	const toWire = (found: Parameters<typeof toEndpointWire>[0]) => toEndpointWire(found, ctx.clock.now());
	const one = async (id: EndpointId) => toWire(await getEndpoint(ctx, id));

	app.get(path, {
		config: read,
		schema: {
			tags,
			operationId: "listWebhookEndpoints",
			params: organizationParams,
			querystring: ListQuery,
			response: answers({ 200: EndpointsWire }),
		},
		handler: async (request) => {
			const page = readPage("whe", request.query, null);
			const found = await listEndpoints(ctx, { organizationId: request.params.orgID, page });
			const { rows, nextCursor } = cutPage(
				found.map((each) => ({ ...each, id: each.endpoint.id })),
				page.limit,
			);
			return { webhook_endpoints: rows.map(toWire), next_cursor: nextCursor };
		},
	});

	app.post(path, {
		config: change,
		schema: {
			tags,
			operationId: "createWebhookEndpoint",
			params: organizationParams,
			body: CreateEndpointBody,
			response: answers({ 201: WithSecret }),
		},
		handler: async (request, reply) => {
			const { endpoint, secret } = await createEndpoint(ctx, {
				organizationId: request.params.orgID,
				endpoint: { ...fromEndpointBody(request.body), url: request.body.url },
				actor: actorOf(request.principal),
			});
			return reply.code(201).send({ webhook_endpoint: await one(endpoint.id), plaintext_secret: secret });
		},
	});

	app.get(`${path}/:endpointID`, {
		config: read,
		schema: { tags, operationId: "getWebhookEndpoint", params, response: answers({ 200: One }) },
		handler: async (request) => ({ webhook_endpoint: await one(request.params.endpointID) }),
	});

	app.patch(`${path}/:endpointID`, {
		config: change,
		schema: {
			tags,
			operationId: "updateWebhookEndpoint",
			params,
			body: UpdateEndpointBody,
			response: answers({ 200: One }),
		},
		handler: async (request) => {
			await updateEndpoint(ctx, {
				organizationId: request.params.orgID,
				endpointId: request.params.endpointID,
				changes: fromEndpointBody(request.body),
				actor: actorOf(request.principal),
			});
			return { webhook_endpoint: await one(request.params.endpointID) };
		},
	});

	app.delete(`${path}/:endpointID`, {
		config: change,
		schema: {
			tags,
			operationId: "deleteWebhookEndpoint",
			params,
			response: answers({ 200: Type.Object({ deleted: Type.Literal(true) }) }),
		},
		handler: async (request) => {
			const { orgID: organizationId, endpointID: endpointId } = request.params;
			await deleteEndpoint(ctx, { organizationId, endpointId, actor: actorOf(request.principal) });
			return { deleted: true as const };
		},
	});

	app.post(`${path}/:endpointID/rotate-secret`, {
		config: change,
		schema: {
			tags,
			operationId: "rotateWebhookEndpointSecret",
			params,
			body: RotateSecretBody,
			response: answers({ 200: WithSecret }),
		},
		handler: async (request) => {
			const { secret } = await rotateSecret(ctx, {
				organizationId: request.params.orgID,
				endpointId: request.params.endpointID,
				graceHours: request.body.grace_hours ?? 0,
				actor: actorOf(request.principal),
			});
			return { webhook_endpoint: await one(request.params.endpointID), plaintext_secret: secret };
		},
	});
}
