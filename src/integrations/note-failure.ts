import type { Transaction } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import type { NewEvent } from "../events/event.ts";
import { type EventView, integrationEvent } from "./integration-event.ts";

/** Puts an integration into the state `error` and says why, unless the user disabled it or it is gone. */
export async function noteFailure(
	tx: Pick<Transaction, "stores">,
	view: EventView,
	id: IntegrationId,
	sentence: string,
): Promise<NewEvent[]> {
	const integration = await tx.stores.integrations.findForUpdate(id);
	if (!integration || integration.deletedAt) return [];
	const state = integration.state === "disabled" ? "disabled" : "error";
	const failed = await tx.stores.integrations.update(id, { state }, { set: { lastError: sentence } });
	return [integrationEvent(view, failed, "integration.error", { error: sentence })];
}
