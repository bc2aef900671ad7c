import type { Api } from "../app.ts";
import { answers } from "../http/wire.ts";
import type { EventType } from "./event-types.ts";
import { EventTypesWire, toEventTypeWire } from "./wire.ts";

/** The catalogue is the same for every caller. */
export function eventTypeRoutes(app: Api, catalogue: readonly EventType[]): void {
	const eventTypes = catalogue.map(toEventTypeWire);
	app.get("/v1/webhook-event-types", {
		config: { access: { scope: "organizations:read", reach: "caller" } },
		schema: {
			tags: ["Webhooks"],
			operationId: "listWebhookEventTypes",
			response: answers({ 200: EventTypesWire }),
		},
		handler: async () => ({ event_types: eventTypes }),
	});
}
