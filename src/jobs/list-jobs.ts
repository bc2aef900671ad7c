import type { Context } from "../context.ts";
import type { JobId, ProjectId } from "../core/ids.ts";
import type { Job } from "./job.ts";

/** A project's jobs, newest first; one row more than asked for. */
export function listJobs(
	ctx: Pick<Context, "stores">,
	input: { projectId: ProjectId; page: { limit: number; before: JobId | null } },
): Promise<Job[]> {
	return ctx.stores.jobs.list(input.projectId, input.page);
}
