import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { AppError, invalid, notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import { jobAlreadyOpen } from "../jobs/errors.ts";
import type { Job } from "../jobs/job.ts";
import { projectNotReady } from "./errors.ts";
import { projectResource } from "./project.ts";

const type = "project.rotate_credentials";

/** Queues a new password for a created project's role. Throws a 409 for any other project, and while one is queued. */
export async function requestRotation(
	ctx: Pick<Context, "transaction">,
	input: { projectId: ProjectId; graceHours: number; actor: Actor },
): Promise<Job> {
	const { projectId, actor } = input;
	if (input.graceHours > 0) {
		const sentence = "`grace_hours` must be 0: the old password ends when the new one begins.";
		throw invalid("grace_hours", sentence);
	}
	return ctx.transaction(async (tx) => {
		const project = await tx.stores.projects.findForUpdate(projectId);
		if (!project) throw notFound("project");
		if (project.origin === "external") throw rotatedElsewhere();
		if (project.state !== "ready") throw projectNotReady();
		const lockedResource = projectResource(projectId);
		const open = await tx.stores.jobs.listOpen(lockedResource);
		if (open.some((job) => job.type === type)) throw jobAlreadyOpen();
		const { organizationId } = project;
		const job = await enqueueJob(tx, { type, organizationId, projectId, lockedResource });
		const metadata = { job_id: job.id };
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "project.credentials_rotated",
			actor,
			metadata,
		});
		return job;
	});
}

function rotatedElsewhere(): AppError {
	const sentence =
		"This project brings its own Postgres: change the password there, then PATCH `database_url` (and `direct_url`).";
	return new AppError("conflict", "project.external", sentence);
}
