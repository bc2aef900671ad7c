import type { OverdueLane } from "../deliveries/backlog-store.ts";
import { listOverdue } from "../deliveries/list-overdue.ts";
import { findPause } from "../deliveries/pause-deliveries.ts";
import type { DeliveryPause } from "../deliveries/pause-store.ts";
import { listLateIntegrations } from "../inbound/list-late-integrations.ts";
import type { LateIntegration } from "../inbound/store.ts";
import type { Job } from "../jobs/job.ts";
import { listUnmovedJobs } from "../jobs/list-unmoved-jobs.ts";
import { toJobWire } from "../jobs/wire.ts";
import { type Command, UsageError } from "./command.ts";
import { withContext } from "./open-context.ts";

const listedMax = 100;
const defaultSeconds = 300;

export const listStuckCommand: Command = {
	summary: "lists what waits for too long: deliveries that nobody sends, jobs, providers' webhooks",
	details: "It ends with 1 when there is any. Of each kind it lists the 100 oldest.",
	options: { "older-than": { value: "seconds", help: `how long is too long (${defaultSeconds})` } },
	run: (options, surroundings) => {
		const olderThanSeconds = readSeconds(options.text("older-than"));
		return withContext(surroundings, async (ctx) => {
			const wanted = { olderThanSeconds, limit: listedMax };
			const pause = await findPause(ctx);
			const deliveries = await listOverdue(ctx, wanted);
			const jobs = await listUnmovedJobs(ctx, wanted);
			const inbound = await listLateIntegrations(ctx, wanted);
			const lines = [
				...(pause === null ? [] : [tellPause(pause)]),
				...deliveries.map(tellLane),
				...jobs.map((job) => tellJob(job, ctx.clock.now())),
				...inbound.map(tellInbound),
			];
			return {
				text: lines.length === 0 ? "Nothing is stuck." : lines.join("\n"),
				json: {
					paused_at: pause?.pausedAt.toISOString() ?? null,
					deliveries: deliveries.map(laneWire),
					jobs: jobs.map(toJobWire),
					inbound: inbound.map(inboundWire),
				},
				isBad: lines.length > 0,
			};
		});
	},
};

function readSeconds(text: string | undefined): number {
	if (text === undefined) return defaultSeconds;
	if (!/^\d{1,9}$/.test(text)) throw new UsageError("`--older-than` must be a whole number of seconds.");
	return Number(text);
}

function tellPause({ pausedAt, reason }: DeliveryPause): string {
	const why = reason === null ? "" : `: ${reason}`;
	return `deliveries: all are paused since ${pausedAt.toISOString()}${why}`;
}

function tellLane({ endpointId, organizationId, due, oldestSeconds }: OverdueLane): string {
	return `deliveries: ${due} overdue to ${endpointId} of ${organizationId}, the oldest for ${spell(oldestSeconds)}`;
}

function tellJob(job: Job, now: Date): string {
	const seconds = (now.getTime() - job.updatedAt.getTime()) / 1000;
	const by = job.state === "running" && job.claimedBy !== null ? ` at ${job.claimedBy}` : "";
	const why = job.error === null ? "" : `: ${job.error}`;
	return `job: ${job.id} (${job.type}, ${job.lockedResource}) is ${job.state}${by}, unmoved for ${spell(seconds)}${why}`;
}

function tellInbound({
	integrationId,
	provider,
	projectId,
	count,
	oldestSeconds,
	error,
}: LateIntegration): string {
	const why = error === null ? "" : `: ${error}`;
	return `inbound: ${count} from ${provider} for ${projectId} (${integrationId}), the oldest for ${spell(oldestSeconds)}${why}`;
}

function spell(seconds: number): string {
	if (seconds < 120) return `${Math.round(seconds)} s`;
	return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function laneWire({ endpointId, organizationId, due, oldestSeconds }: OverdueLane) {
	return {
		endpoint_id: endpointId,
		organization_id: organizationId,
		due,
		oldest_seconds: Math.round(oldestSeconds),
	};
}

function inboundWire({ integrationId, projectId, provider, count, oldestSeconds, error }: LateIntegration) {
	return {
		integration_id: integrationId,
		project_id: projectId,
		provider,
		count,
		oldest_seconds: Math.round(oldestSeconds),
		error,
	};
}
