import type { EndpointId, EventId, OrganizationId } from "../../core/ids.ts";

/** The job's type. */
export const replayJobType = "webhook.replay";

/** Which events go to an endpoint once more. */
export type ReplayScope = {
	organizationId: OrganizationId;
	endpointId: EndpointId;
	/** By the events' time: from `since` up to, not including, `until`. */
	since: Date;
	until: Date;
	/** Deliveries from this id (a UUID) on were made after the replay was asked for, and are no concern of it. */
	madeBefore: string;
	/** Judged by an event's newest delivery to the endpoint: `failed`, or whatever came of it. */
	state: "failed" | "all";
	/** Also events that match the endpoint's filter and have no delivery to it. */
	includeUnsent: boolean;
	/** Null: all in the range. */
	eventId: EventId | null;
};

/** Where a replay stands. */
export type ReplayProgress = {
	/** First the events that were sent to the endpoint, by their deliveries; then those that were not. */
	phase: "sent" | "unsent" | "over";
	/** The last delivery or event (a UUID) that was looked at in this phase; null before the first. */
	cursor: string | null;
};

export const replayBegin: ReplayProgress = { phase: "sent", cursor: null };

/** Where a replay stands after a step of the phase that ended at `last`; null: it reached the phase's end. */
export function progressAfter(
	{ includeUnsent }: Pick<ReplayScope, "includeUnsent">,
	{ phase }: ReplayProgress,
	last: string | null,
): ReplayProgress {
	if (last !== null) return { phase, cursor: last };
	return { phase: phase === "sent" && includeUnsent ? "unsent" : "over", cursor: null };
}

/** A scope as the job's input keeps it. */
export function toJobInput(scope: ReplayScope): Record<string, unknown> {
	return { ...scope, since: scope.since.toISOString(), until: scope.until.toISOString() };
}

export function fromJobInput(input: Record<string, unknown>): ReplayScope {
	const kept = input as Omit<ReplayScope, "since" | "until"> & { since: string; until: string };
	return { ...kept, since: new Date(kept.since), until: new Date(kept.until) };
}
