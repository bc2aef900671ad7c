import { recordAudit } from "../audit/record-audit.ts";
import type { Transaction } from "../context.ts";
import type { Actor } from "../core/principal.ts";
import { publishEvents } from "../events/publish-events.ts";
import type { Integration } from "./integration.ts";
import { type EventView, integrationEvent } from "./integration-event.ts";

/** Writes down who connected it, and tells the organization's endpoints. */
export async function announceConnected(
	view: EventView,
	tx: Transaction,
	integration: Integration,
	actor: Actor,
): Promise<void> {
	const { id, organizationId, projectId, provider } = integration;
	const action = "project.integration.connected";
	await recordAudit(tx, {
		organizationId,
		projectId,
		action,
		actor,
		metadata: { integration_id: id, provider },
	});
	await publishEvents(tx, [integrationEvent(view, integration, "integration.connected")]);
}
