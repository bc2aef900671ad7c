import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Job } from "../jobs/job.ts";
import { projectResource } from "./project.ts";

const type = "instance.destroy";

/** Queues the project's end. Asked again while that is under way, it answers with the same job. */
export async function deleteProject(
	ctx: Pick<Context, "transaction">,
	input: { projectId: ProjectId; actor: Actor },
): Promise<Job> {
	const { projectId, actor } = input;
	return ctx.transaction(async (tx) => {
		const project = await tx.stores.projects.findForUpdate(projectId);
		if (!project) throw notFound("project");
		const lockedResource = projectResource(projectId);
		const open = await tx.stores.jobs.listOpen(lockedResource);
		const underWay = open.find((job) => job.type === type);
		if (underWay) return underWay;
		await tx.stores.projects.update(projectId, { state: "deleting" });
		const { organizationId } = project;
		const job = await enqueueJob(tx, { type, organizationId, projectId, lockedResource });
		const metadata = { job_id: job.id };
		await recordAudit(tx, { organizationId, projectId, action: "project.deleted", actor, metadata });
		return job;
	});
}
