import type { Context, TaskData } from "./context.ts";
import type { IntegrationId, JobId } from "./core/ids.ts";
import type { Engine } from "./deliveries/engine/engine.ts";
import { replayJobType } from "./deliveries/replay/replay.ts";
import { runReplay } from "./deliveries/replay/run-replay.ts";
import { branchHooks } from "./deployments/branch-hooks.ts";
import { branchJobType } from "./deployments/enqueue-branch.ts";
import { recordListed } from "./deployments/record-listed.ts";
import { sweepBranches } from "./deployments/sweep-branches.ts";
import { syncBranch } from "./deployments/sync-branch.ts";
import { pushType, repush } from "./env-sync/enqueue-push.ts";
import { syncEnv } from "./env-sync/sync-env.ts";
import { applyInbound } from "./inbound/apply-inbound.ts";
import { disconnectIntegrations } from "./integrations/delete-integration.ts";
import { integrationJobTypes } from "./integrations/job-types.ts";
import { reconcileDue } from "./integrations/platforms/reconcile-due.ts";
import { reconcilePlatform } from "./integrations/platforms/reconcile-platform.ts";
import { queueReconciliations } from "./integrations/queue-reconciliations.ts";
import type { JobType } from "./jobs/job-type.ts";
import { runJob } from "./jobs/run-job.ts";
import { discardExpiredFlows } from "./oauth/discard-expired-flows.ts";
import type { TaskWorker } from "./platform/queue.ts";
import { deleteDuePreviews } from "./previews/delete-due-previews.ts";
import { deletePreviewsOf } from "./previews/delete-preview.ts";
import { previewJobTypes } from "./previews/job-types.ts";
import { createInstance } from "./projects/create-instance.ts";
import { destroyInstance } from "./projects/destroy-instance.ts";
import { dropExpiredProjects } from "./projects/drop-expired-projects.ts";
import { rotateCredentials } from "./projects/rotate-credentials.ts";
import { maintainTables } from "./retention/maintain-tables.ts";

const everyHour = "7 * * * *";
const everyTenMinutes = "*/10 * * * *";
const everyNight = "23 3 * * *";
const everyMinute = "* * * * *";

/** Every task and its operation, every schedule. */
export function buildWorkers(ctx: Context, engine: Pick<Engine, "poke">): Record<keyof TaskData, TaskWorker> {
	const types = jobTypes(ctx);
	const reconcile = reconcilePlatform({ recordDeployments: recordListed });
	return {
		"jobs.run": runningJobs(ctx, types),
		"jobs.run_long": runningJobs(ctx, types),
		"inbound.apply": {
			queue: {
				policy: "short",
				partition: true,
				notify: true,
				heartbeatSeconds: 10,
				expireInSeconds: 3600,
				retryLimit: 1000,
				retryDelay: 2,
				retryBackoff: true,
				retryDelayMax: 60,
				deleteAfterSeconds: 60,
			},
			concurrency: 8,
			handle: (data, signal) => applyInbound(ctx, { ...(data as { integrationId: IntegrationId }), signal }),
		},
		"integrations.reconcile": {
			queue: {
				policy: "short",
				partition: true,
				heartbeatSeconds: 10,
				expireInSeconds: 600,
				retryLimit: 3,
				retryDelay: 30,
				deleteAfterSeconds: 60,
			},
			concurrency: 4,
			handle: (data, signal) => reconcile(ctx, { ...(data as { integrationId: IntegrationId }), signal }),
		},
		"deliveries.dispatch": {
			queue: {
				policy: "short",
				partition: true,
				notify: true,
				expireInSeconds: 60,
				retryLimit: 0,
				deleteAfterSeconds: 60,
			},
			concurrency: 1,
			handle: async () => engine.poke(),
		},
		...scheduledWorkers(ctx),
	};
}

function runningJobs(ctx: Context, types: Record<string, JobType>): TaskWorker {
	return {
		// A crash is noticed by the missing heartbeat; retries of failed attempts are the job's own.
		queue: {
			policy: "singleton",
			partition: true,
			notify: true,
			heartbeatSeconds: 10,
			expireInSeconds: 23 * 3600,
			retryLimit: 1000,
			retryDelay: 1,
			deleteAfterSeconds: 3600,
		},
		concurrency: 8,
		handle: (data, signal) => runJob(ctx, { ...(data as { jobId: JobId }), types, signal }),
	};
}

type Scheduled =
	| "users.reconcile"
	| "integrations.reconcile_due"
	| "projects.drop_expired"
	| "previews.delete_due"
	| "oauth.discard_expired"
	| "branches.sweep"
	| "tables.maintain";

/** For what would else come again in an hour or a day when it has failed. */
const repeated: TaskWorker["queue"] = {
	policy: "exclusive",
	expireInSeconds: 3600,
	retryLimit: 3,
	retryDelay: 60,
	deleteAfterSeconds: 3600,
};

/** What runs by itself: once at each of its times, however many replicas there are. */
function scheduledWorkers(ctx: Context): Record<Scheduled, TaskWorker> {
	return {
		"integrations.reconcile_due": {
			queue: { policy: "exclusive", expireInSeconds: 600, retryLimit: 0, deleteAfterSeconds: 600 },
			concurrency: 1,
			schedule: everyTenMinutes,
			handle: () => reconcileDue(ctx),
		},
		"projects.drop_expired": {
			queue: repeated,
			concurrency: 1,
			schedule: everyHour,
			handle: () => dropExpiredProjects(ctx),
		},
		"previews.delete_due": sweep(() => deleteDuePreviews(ctx)),
		"branches.sweep": sweep(() => sweepBranches(ctx)),
		"oauth.discard_expired": sweep(() => discardExpiredFlows(ctx)),
		"users.reconcile": {
			queue: repeated,
			concurrency: 1,
			schedule: everyNight,
			handle: () => queueReconciliations(ctx),
		},
		"tables.maintain": {
			queue: repeated,
			concurrency: 1,
			schedule: everyHour,
			handle: (_, signal) => maintainTables(ctx, signal),
		},
	};
}

function sweep(handle: () => Promise<void>): TaskWorker {
	return {
		queue: { policy: "exclusive", expireInSeconds: 600, retryLimit: 0, deleteAfterSeconds: 600 },
		concurrency: 1,
		schedule: everyMinute,
		handle,
	};
}

function jobTypes(ctx: Context): Record<string, JobType> {
	return {
		"instance.create": createInstance,
		"instance.destroy": destroyInstance({ disconnectIntegrations, deletePreviews: deletePreviewsOf }),
		"project.rotate_credentials": rotateCredentials({ repush: repush(ctx) }),
		[replayJobType]: { run: runReplay },
		...previewJobTypes(branchHooks),
		[branchJobType]: syncBranch,
		...integrationJobTypes(ctx),
		[pushType]: syncEnv(ctx),
	};
}
