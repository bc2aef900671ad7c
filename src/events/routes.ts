import { type Static, Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { EventId, OrganizationId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { toDeliverySummaryWire } from "../deliveries/wire.ts";
import { answers, cursorAfter, readPage, sendJson } from "../http/wire.ts";
import { erasePayload } from "./erase-payload.ts";
import { getEvent } from "./get-event.ts";
import { elementSources, memberSource } from "./json-source.ts";
import { listEvents } from "./list-events.ts";
import { type PublishInput, publish } from "./publish.ts";
import {
	EventsWire,
	EventWithDeliveriesWire,
	ListEventsQuery,
	PublishBody,
	PublishedBatchWire,
	PublishedWire,
	toEventJson,
} from "./wire.ts";

const tags = ["Events"];
const pageSize = 25;
const batchBytesMax = 5 * 1024 * 1024;
const path = "/v1/organizations/:orgID/events";
const params = Type.Object({ orgID: Type.Unsafe<OrganizationId>(Type.String()) });
const eventParams = Type.Object({
	orgID: Type.Unsafe<OrganizationId>(Type.String()),
	eventID: Type.Unsafe<EventId>(Type.String()),
});
const read = { access: { scope: "organizations:read", reach: "organization" } } as const;

export function eventRoutes(app: Api, ctx: Context): void {
	eraseRoute(app, ctx);

	app.post(path, {
		config: { access: { scope: "organizations:write", reach: "organization" }, keepText: true },
		bodyLimit: batchBytesMax,
		schema: {
			tags,
			operationId: "publishEvents",
			params,
			body: PublishBody,
			response: answers({ 202: Type.Union([PublishedWire, PublishedBatchWire]) }),
		},
		handler: async (request, reply) => {
			const organizationId = request.params.orgID;
			const isBatch = "events" in request.body;
			const events = fromPublishBody(request.body, request.bodyText);
			const published = await publish(ctx, { organizationId, events });
			const list = published.events.map(toEventJson);
			const shown = isBatch ? `"events":[${list.join(",")}]` : `"event":${list[0]}`;
			return sendJson(reply.code(202), `{${shown},"deliveries":${published.deliveries}}`);
		},
	});

	app.get(path, {
		config: read,
		schema: {
			tags,
			operationId: "listEvents",
			params,
			querystring: ListEventsQuery,
			response: answers({ 200: EventsWire }),
		},
		handler: async (request, reply) => {
			const page = readPage("evt", request.query, pageSize);
			const limit = page.limit ?? pageSize;
			const { type } = request.query;
			const filter = { limit, before: page.before, ...(type === undefined ? {} : { type }) };
			const { rows, hasMore } = await listEvents(ctx, { organizationId: request.params.orgID, filter });
			const nextCursor = hasMore ? cursorAfter(rows) : null;
			const list = rows.map(toEventJson).join(",");
			return sendJson(reply, `{"events":[${list}],"next_cursor":${JSON.stringify(nextCursor)}}`);
		},
	});

	app.get(`${path}/:eventID`, {
		config: read,
		schema: {
			tags,
			operationId: "getEvent",
			params: eventParams,
			response: answers({ 200: EventWithDeliveriesWire }),
		},
		handler: async (request, reply) => {
			const { orgID: organizationId, eventID: eventId } = request.params;
			const { event, deliveries } = await getEvent(ctx, { organizationId, eventId });
			const list = JSON.stringify(deliveries.map(toDeliverySummaryWire));
			return sendJson(reply, `{"event":${toEventJson(event)},"deliveries":${list}}`);
		},
	});
}

function eraseRoute(app: Api, ctx: Context): void {
	app.delete(`${path}/:eventID/payload`, {
		config: { access: { scope: "organizations:write", reach: "organization" } },
		schema: {
			tags,
			operationId: "eraseEventPayload",
			summary: "Erases what the event said. Deliveries of it that wait end as failed.",
			params: eventParams,
			response: answers({ 200: Type.Object({ erased: Type.Literal(true) }) }),
		},
		handler: async (request) => {
			const { orgID: organizationId, eventID: eventId } = request.params;
			await erasePayload(ctx, { organizationId, eventId, actor: actorOf(request.principal) });
			return { erased: true as const };
		},
	});
}

/** `data` is cut out of the body's own text, so that its bytes arrive as they were sent. */
function fromPublishBody(body: Static<typeof PublishBody>, text: string): PublishInput[] {
	if (!("events" in body)) return [fromEvent(body, text)];
	const sources = elementSources(memberSource(text, "events") ?? "[]");
	return body.events.map((event, at) => fromEvent(event, sources[at] ?? "{}"));
}

function fromEvent(
	event: { type: string; project_id?: string | null; idempotency_key?: string },
	source: string,
): PublishInput {
	return {
		type: event.type,
		data: memberSource(source, "data") ?? "null",
		projectId: event.project_id ?? null,
		idempotencyKey: event.idempotency_key ?? null,
	};
}
