import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { DeliveryId, EndpointId, OrganizationId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers, cursorAfter, readMoment, readPage, sendJson } from "../http/wire.ts";
import { getDelivery } from "./get-delivery.ts";
import { listAttempts } from "./list-attempts.ts";
import { listDeliveries } from "./list-deliveries.ts";
import { redeliver } from "./redeliver.ts";
import { testEndpoint } from "./test-endpoint.ts";
import {
	AttemptsWire,
	DeliveriesWire,
	DeliveryWire,
	ListDeliveriesQuery,
	toAttemptWire,
	toDeliveryJson,
} from "./wire.ts";

const tags = ["Webhooks"];
const pageSize = 50;
const endpointPath = "/v1/organizations/:orgID/webhook-endpoints/:endpointID";
const endpointParams = {
	orgID: Type.Unsafe<OrganizationId>(Type.String()),
	endpointID: Type.Unsafe<EndpointId>(Type.String()),
};
const params = Type.Object(endpointParams);
const deliveryParams = Type.Object({ ...endpointParams, deliveryID: Type.Unsafe<DeliveryId>(Type.String()) });
const read = { access: { scope: "organizations:read", reach: "organization" } } as const;
const change = { access: { scope: "organizations:write", reach: "organization" } } as const;
const One = Type.Object({ delivery: DeliveryWire });

export function deliveryRoutes(app: Api, ctx: Context): void {
	app.post(`${endpointPath}/test`, {
		config: change,
		schema: { tags, operationId: "testWebhookEndpoint", params, response: answers({ 202: One }) },
		handler: async (request, reply) => {
			const { orgID: organizationId, endpointID: endpointId } = request.params;
			const delivery = await testEndpoint(ctx, {
				organizationId,
				endpointId,
				actor: actorOf(request.principal),
			});
			return sendJson(reply.code(202), `{"delivery":${toDeliveryJson(delivery)}}`);
		},
	});

	app.get(`${endpointPath}/deliveries`, {
		config: read,
		schema: {
			tags,
			operationId: "listWebhookDeliveries",
			params,
			querystring: ListDeliveriesQuery,
			response: answers({ 200: DeliveriesWire }),
		},
		handler: async (request, reply) => {
			const { state, event_type: eventType, since, until } = request.query;
			const page = readPage("whd", request.query, pageSize);
			const limit = page.limit ?? pageSize;
			const { rows, hasMore } = await listDeliveries(ctx, {
				endpointId: request.params.endpointID,
				filter: {
					limit,
					before: page.before,
					...(state === undefined ? {} : { state }),
					...(eventType === undefined ? {} : { eventType }),
					...(since === undefined ? {} : { since: readMoment("since", since) }),
					...(until === undefined ? {} : { until: readMoment("until", until) }),
				},
			});
			const nextCursor = hasMore ? cursorAfter(rows) : null;
			const list = rows.map(toDeliveryJson).join(",");
			return sendJson(reply, `{"deliveries":[${list}],"next_cursor":${JSON.stringify(nextCursor)}}`);
		},
	});

	app.get(`${endpointPath}/deliveries/:deliveryID`, {
		config: read,
		schema: {
			tags,
			operationId: "getWebhookDelivery",
			params: deliveryParams,
			response: answers({ 200: One }),
		},
		handler: async (request, reply) => {
			const delivery = await getDelivery(ctx, fromParams(request.params));
			return sendJson(reply, `{"delivery":${toDeliveryJson(delivery)}}`);
		},
	});

	app.get(`${endpointPath}/deliveries/:deliveryID/attempts`, {
		config: read,
		schema: {
			tags,
			operationId: "listWebhookDeliveryAttempts",
			params: deliveryParams,
			response: answers({ 200: AttemptsWire }),
		},
		handler: async (request) => ({
			attempts: (await listAttempts(ctx, fromParams(request.params))).map(toAttemptWire),
		}),
	});

	app.post(`${endpointPath}/deliveries/:deliveryID/redeliver`, {
		config: change,
		schema: {
			tags,
			operationId: "redeliverWebhookDelivery",
			params: deliveryParams,
			response: answers({ 202: One }),
		},
		handler: async (request, reply) => {
			const actor = actorOf(request.principal);
			const delivery = await redeliver(ctx, { ...fromParams(request.params), actor });
			return sendJson(reply.code(202), `{"delivery":${toDeliveryJson(delivery)}}`);
		},
	});
}

function fromParams(params: { orgID: OrganizationId; endpointID: EndpointId; deliveryID: DeliveryId }) {
	return { organizationId: params.orgID, endpointId: params.endpointID, deliveryId: params.deliveryID };
}
