import { recordAudit } from "../../audit/record-audit.ts";
import type { Context } from "../../context.ts";
import { invalid, notFound } from "../../core/errors.ts";
import { type EndpointId, isId, type OrganizationId } from "../../core/ids.ts";
import type { Actor } from "../../core/principal.ts";
import { enqueueJob } from "../../jobs/enqueue-job.ts";
import type { Job } from "../../jobs/job.ts";
import { endpointInactive, replayRunning } from "../errors.ts";
import { progressAfter, type ReplayScope, replayBegin, replayJobType, toJobInput } from "./replay.ts";

type Wanted = Pick<ReplayScope, "state" | "includeUnsent"> & {
	since: Date;
	/** Null: until now. */
	until: Date | null;
	eventId: string | null;
};

type Input = { organizationId: OrganizationId; endpointId: EndpointId; wanted: Wanted; actor: Actor };

/** Beyond this the events are not counted. */
const matchedMax = 100_000;
/** Of deliveries and events that the count looks at: a caller waits for it. The job looks at all. */
const lookedMax = 250_000;
const rowsInLook = 10_000;

/** `isCapped`: not all were counted, so there may be more. */
export type Matched = { matched: number; isCapped: boolean };

/** What a replay would send, without sending it. Throws as the replay itself does. */
export async function countReplay(ctx: Pick<Context, "stores" | "clock">, input: Input): Promise<Matched> {
	return count(ctx, await scopeOf(ctx, input));
}

/**
 * Queues the job that sends events to an endpoint once more. Throws a 409 while the endpoint is inactive or has a
 * replay that is not over, and a 400 for an event of someone else.
 */
export async function requestReplay(
	ctx: Pick<Context, "stores" | "clock" | "transaction">,
	input: Input,
): Promise<Matched & { job: Job }> {
	const { organizationId, endpointId, actor } = input;
	const scope = await scopeOf(ctx, input);
	const matched = await count(ctx, scope);
	const job = await ctx.transaction(async (tx) => {
		// Held, so that of two requests at once the second sees the first one's job.
		const endpoint = await tx.stores.endpoints.lock(endpointId);
		if (!endpoint) throw notFound("webhook endpoint");
		if (!endpoint.isActive) throw endpointInactive();
		const lockedResource = `webhook_endpoint:${endpointId}`;
		if ((await tx.stores.jobs.listOpen(lockedResource)).length > 0) throw replayRunning();
		const { projectId } = endpoint;
		const made = await enqueueJob(tx, {
			type: replayJobType,
			organizationId,
			projectId,
			lockedResource,
			input: toJobInput(scope),
		});
		const metadata = { endpoint_id: endpointId, job_id: made.id, matched: matched.matched };
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "webhook_endpoint.replayed",
			actor,
			metadata,
		});
		return made;
	});
	return { job, ...matched };
}

async function scopeOf(
	ctx: Pick<Context, "stores" | "clock">,
	{ organizationId, endpointId, wanted }: Input,
): Promise<ReplayScope> {
	const endpoint = await ctx.stores.endpoints.find(endpointId);
	if (!endpoint) throw notFound("webhook endpoint");
	if (!endpoint.isActive) throw endpointInactive();
	const { since, state, includeUnsent } = wanted;
	const until = wanted.until ?? ctx.clock.now();
	if (until <= since) throw invalid("until", "`until` must be later than `since`.");
	const eventId = await eventOf(ctx, organizationId, wanted.eventId);
	const madeBefore = await ctx.stores.replays.mark();
	return { organizationId, endpointId, since, until, madeBefore, state, includeUnsent, eventId };
}

async function eventOf(
	{ stores }: Pick<Context, "stores">,
	organizationId: OrganizationId,
	eventId: string | null,
): Promise<ReplayScope["eventId"]> {
	if (eventId === null) return null;
	const event = isId("evt", eventId) ? await stores.events.find(organizationId, eventId) : null;
	if (!event) throw invalid("event_id", "`event_id` is not an event of this organization.");
	return event.id;
}

async function count({ stores }: Pick<Context, "stores">, scope: ReplayScope): Promise<Matched> {
	let progress = replayBegin;
	let matched = 0;
	for (let looked = 0; looked < lookedMax && matched <= matchedMax; looked += rowsInLook) {
		const step = await stores.replays.look(scope, progress, rowsInLook);
		matched += step.matched;
		progress = progressAfter(scope, progress, step.last);
		if (progress.phase === "over") break;
	}
	const isCapped = progress.phase !== "over" || matched > matchedMax;
	return { matched: Math.min(matched, matchedMax), isCapped };
}
