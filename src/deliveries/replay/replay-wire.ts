import { type Static, Type } from "@sinclair/typebox";
import { readMoment } from "../../http/wire.ts";
import { JobWire } from "../../jobs/wire.ts";

const Moment = (description: string) => Type.String({ maxLength: 40, description });

export const ReplayBody = Type.Object(
	{
		since: Moment("RFC 3339; events of this time and later."),
		until: Type.Optional(Moment("RFC 3339; events before this time. Default: now.")),
		state: Type.Optional(
			Type.Unsafe<"failed" | "all">(
				Type.String({
					enum: ["failed", "all"],
					description:
						"`failed` (default): events whose newest delivery to this endpoint failed. `all`: those delivered too.",
				}),
			),
		),
		include_unsent: Type.Optional(
			Type.Boolean({ description: "Also events that match the endpoint now and never went to it." }),
		),
		event_id: Type.Optional(Type.String({ maxLength: 64, description: "Only this event." })),
		dry_run: Type.Optional(Type.Boolean({ description: "Only count." })),
	},
	{ additionalProperties: false },
);

const matched = {
	matched: Type.Integer({ description: "Events that are sent once more, as far as they were counted." }),
	matched_capped: Type.Boolean({
		description:
			"True when not all were counted, so that there may be more: at 100,000, or where very many deliveries and events had to be looked through.",
	}),
};

export const MatchedWire = Type.Object(matched);
export const ReplayWire = Type.Object({ job: JobWire, ...matched });

export function toMatchedWire(counted: { matched: number; isCapped: boolean }): Static<typeof MatchedWire> {
	return { matched: counted.matched, matched_capped: counted.isCapped };
}

export function fromReplayBody(body: Static<typeof ReplayBody>) {
	return {
		since: readMoment("since", body.since),
		until: body.until === undefined ? null : readMoment("until", body.until),
		state: body.state ?? "failed",
		includeUnsent: body.include_unsent ?? false,
		eventId: body.event_id ?? null,
	};
}
