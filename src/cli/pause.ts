import type { Context } from "../context.ts";
import type { EndpointId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { pauseDeliveries, resumeDeliveries } from "../deliveries/pause-deliveries.ts";
import { updateEndpoint } from "../webhook-endpoints/update-endpoint.ts";
import { type Command, type Given, type Outcome, UsageError } from "./command.ts";
import { locate, withContext } from "./open-context.ts";

const endpoint = { value: "whe_…", help: "only this endpoint" };

export const pauseCommand: Command = {
	summary: "stops sending to one endpoint, or to all",
	details:
		"What waits uses no attempt meanwhile. --all holds everything back on every replica, and new events wait too.\n" +
		"--endpoint makes the endpoint inactive: new events are recorded, and sent to it only by `replay --include-unsent`.",
	options: {
		endpoint,
		all: { help: "every delivery" },
		reason: { value: "text", help: "why; with --all, for `list-stuck`" },
	},
	run: (options, surroundings) => {
		const id = chosen(options);
		return withContext(surroundings, (ctx) =>
			id === null ? pauseAll(ctx, options) : setActive(ctx, id, false),
		);
	},
};

export const resumeCommand: Command = {
	summary: "sends to one endpoint, or to all, again, also what has waited",
	details: "An endpoint that was made inactive stays so after `resume --all`.",
	options: { endpoint, all: { help: "every delivery" } },
	run: (options, surroundings) => {
		const id = chosen(options);
		return withContext(surroundings, (ctx) => (id === null ? resumeAll(ctx) : setActive(ctx, id, true)));
	},
};

/** Null for all. */
function chosen(options: Given): EndpointId | null {
	const id = options.text("endpoint");
	if (options.flag("all") === (id !== undefined))
		throw new UsageError("Give either `--endpoint` or `--all`.");
	return (id as EndpointId | undefined) ?? null;
}

async function setActive(ctx: Context, id: EndpointId, isActive: boolean): Promise<Outcome> {
	const { organizationId } = await locate(ctx, "endpointID", id);
	const actor = actorOf({ kind: "admin" });
	await updateEndpoint(ctx, { organizationId, endpointId: id, changes: { isActive }, actor });
	return {
		text: isActive ? `Sending to the endpoint ${id} again.` : `No longer sending to the endpoint ${id}.`,
		json: { endpoint_id: id, is_active: isActive },
	};
}

async function pauseAll(ctx: Context, options: Given): Promise<Outcome> {
	const pause = await pauseDeliveries(ctx, options.text("reason") ?? null);
	const pausedAt = pause.pausedAt.toISOString();
	return {
		text: `All deliveries are paused since ${pausedAt}.`,
		json: { paused_at: pausedAt, reason: pause.reason },
	};
}

async function resumeAll(ctx: Context): Promise<Outcome> {
	const ended = await resumeDeliveries(ctx);
	const text = ended === null ? "Deliveries were not paused." : "Sending again.";
	return { text, json: { paused_at: null, was_paused_at: ended?.pausedAt.toISOString() ?? null } };
}
