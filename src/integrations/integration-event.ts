import type { Context } from "../context.ts";
import type { NewEvent } from "../events/event.ts";
import type { Integration } from "./integration.ts";
import { toIntegrationWire } from "./wire.ts";

/** What an event about an integration is made with, beside the row. */
export type EventView = Pick<Context, "publicUrl" | "providers">;

/** An event about an integration, with it in its data as the API shows it. */
export function integrationEvent(
	view: EventView,
	integration: Integration,
	type: "integration.connected" | "integration.disconnected" | "integration.error",
	more: Record<string, unknown> = {},
): NewEvent {
	const { organizationId, projectId } = integration;
	const data = JSON.stringify({ integration: toIntegrationWire(view, integration), ...more });
	return { organizationId, projectId, type, data };
}
