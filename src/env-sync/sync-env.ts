import type { Context, Transaction } from "../context.ts";
import { AppError } from "../core/errors.ts";
import type { IntegrationId } from "../core/ids.ts";
import type { NewEvent } from "../events/event.ts";
import { integrationGone } from "../integrations/errors.ts";
import { type EventView, integrationEvent } from "../integrations/integration-event.ts";
import { noteFailure } from "../integrations/note-failure.ts";
import { openPlatform, type Platform } from "../integrations/platforms/open-platform.ts";
import { whileAlone } from "../integrations/platforms/while-alone.ts";
import type { JobRun, JobType, Settlement } from "../jobs/job-type.ts";
import { pushProject } from "./push-project.ts";

/** The job `integration.sync_env`: brings the project's URLs to its platform, and removes what is ours and outdated. */
export function syncEnv(view: EventView): JobType {
	return {
		run: sync,
		failed: (tx, job, sentence) => noteFailure(tx, view, job.input.integration_id as IntegrationId, sentence),
	};

	async function sync(ctx: Context, run: JobRun): Promise<Settlement> {
		const id = run.job.input.integration_id as IntegrationId;
		const { integration: place } = await openPlatform(ctx, id);
		const pushed = await whileAlone(ctx, place, { signal: run.signal }, async (signal) => {
			const platform = await openPlatform(ctx, id, signal);
			await push(ctx, run, platform);
			return platform;
		});
		return (tx) => settle(tx, view, pushed);
	}
}

async function push(ctx: Context, run: JobRun, platform: Platform): Promise<void> {
	const project = await ctx.stores.projects.find(platform.integration.projectId);
	if (!project) throw integrationGone();
	if (project.state !== "ready") throw projectNotReadyYet();
	run.say(`validated project ${project.slug} (${project.id})`);
	const pushed = await pushProject(ctx, platform, project);
	for (const key of pushed.takenOver) run.say(`took over ${key}, which stood there before`);
	run.say(`pushed ${counted(pushed.written, "variable")}`);
	if (pushed.removed > 0) run.say(`removed ${counted(pushed.removed, "variable")} of an earlier connection`);
	for (const sentence of pushed.left) run.say(sentence);
}

function counted(count: number, noun: string): string {
	return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function projectNotReadyYet(): AppError {
	const sentence = "The project's database is not ready yet.";
	return new AppError("unavailable", "project.not_ready", sentence, { retryAfterSeconds: 5 });
}

async function settle(
	tx: Transaction,
	view: EventView,
	{ integration: before }: Platform,
): Promise<NewEvent[]> {
	const integration = await tx.stores.integrations.findForUpdate(before.id);
	if (!integration || integration.deletedAt) return [];
	const heals = integration.state === "error" || integration.state === "pending";
	const lastSyncedAt = tx.clock.now().toISOString();
	const status = { set: { lastSyncedAt }, drop: ["lastError" as const] };
	if (!heals) {
		await tx.stores.integrations.report(integration.id, status);
		return [];
	}
	const healed = await tx.stores.integrations.update(integration.id, { state: "active" }, status);
	return [integrationEvent(view, healed, "integration.connected")];
}
