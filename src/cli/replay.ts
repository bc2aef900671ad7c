import type { EndpointId } from "../core/ids.ts";
import { numeral } from "../core/numeral.ts";
import { actorOf } from "../core/principal.ts";
import { fromReplayBody, ReplayBody, toMatchedWire } from "../deliveries/replay/replay-wire.ts";
import { countReplay, requestReplay } from "../deliveries/replay/request-replay.ts";
import { requireBody } from "../http/schemas.ts";
import { toJobWire } from "../jobs/wire.ts";
import { type Command, given } from "./command.ts";
import { locate, withContext } from "./open-context.ts";

export const replayCommand: Command = {
	summary: "sends an endpoint's past events to it once more",
	details: "The job that it prints does so: a running server runs it.",
	options: {
		endpoint: { value: "whe_…", help: "the endpoint", isRequired: true },
		since: { value: "time", help: "RFC 3339: events of this time and later", isRequired: true },
		until: { value: "time", help: "events before this time; default: now" },
		state: { value: "word", help: "failed (default), or all: those delivered too" },
		"include-unsent": { help: "also events that match the endpoint and never went to it" },
		event: { value: "evt_…", help: "only this event" },
		"dry-run": { help: "only counts" },
	},
	run: (options, surroundings) =>
		withContext(surroundings, async (ctx) => {
			const id = options.required("endpoint");
			const { organizationId } = await locate(ctx, "endpointID", id);
			const body = requireBody(
				ReplayBody,
				given({
					since: options.text("since"),
					until: options.text("until"),
					state: options.text("state"),
					include_unsent: options.flag("include-unsent"),
					event_id: options.text("event"),
				}),
			);
			const actor = actorOf({ kind: "admin" });
			const input = { organizationId, endpointId: id as EndpointId, wanted: fromReplayBody(body), actor };
			if (options.flag("dry-run")) {
				const counted = await countReplay(ctx, input);
				return { text: `${told(counted)} would be sent.`, json: toMatchedWire(counted) };
			}
			const { job, ...counted } = await requestReplay(ctx, input);
			return {
				text: `${told(counted)} will be sent by job ${job.id}.`,
				json: { job: toJobWire(job), ...toMatchedWire(counted) },
			};
		}),
};

function told({ matched, isCapped }: { matched: number; isCapped: boolean }): string {
	return `${isCapped ? "At least " : ""}${numeral(matched)} ${matched === 1 ? "event" : "events"}`;
}
