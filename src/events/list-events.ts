import type { Context } from "../context.ts";
import type { EventId, OrganizationId } from "../core/ids.ts";
import type { WebhookEvent } from "./event.ts";
import type { PayloadPage } from "./payload-store.ts";

type Input = {
	organizationId: OrganizationId;
	filter: { limit: number; before: EventId | null; type?: string };
};

/** An organization's events, newest first. */
export function listEvents(ctx: Pick<Context, "stores">, input: Input): Promise<PayloadPage<WebhookEvent>> {
	return ctx.stores.events.list(input.organizationId, input.filter);
}
