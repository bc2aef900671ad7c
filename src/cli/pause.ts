import type { Context } from "../context.ts";
import type { EndpointId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { updateEndpoint } from "../webhook-endpoints/update-endpoint.ts";
import type { Command, Given, Outcome } from "./command.ts";
import { locate, withContext } from "./open-context.ts";

const endpoint = { value: "whe_…", help: "the endpoint", isRequired: true } as const;

export const pauseCommand: Command = {
	summary: "stops sending to an endpoint",
	details:
		"What waits for it waits on and uses no attempt. Events of the meantime are recorded, and sent to it only by\n" +
		"`replay --include-unsent` afterwards.",
	options: { endpoint },
	run: (options, surroundings) => withContext(surroundings, (ctx) => setActive(ctx, options, false)),
};

export const resumeCommand: Command = {
	summary: "sends to an endpoint again, also what has waited",
	options: { endpoint },
	run: (options, surroundings) => withContext(surroundings, (ctx) => setActive(ctx, options, true)),
};

async function setActive(ctx: Context, options: Given, isActive: boolean): Promise<Outcome> {
	const id = options.required("endpoint") as EndpointId;
	const { organizationId } = await locate(ctx, "endpointID", id);
	const actor = actorOf({ kind: "admin" });
	await updateEndpoint(ctx, { organizationId, endpointId: id, changes: { isActive }, actor });
	return {
		text: isActive ? `Sending to the endpoint ${id} again.` : `No longer sending to the endpoint ${id}.`,
		json: { endpoint_id: id, is_active: isActive },
	};
}
