import type { Context } from "../context.ts";
import type { Job } from "./job.ts";

/** Jobs that wait or run and of which nothing was heard for longer than that, oldest first. */
export function listUnmovedJobs(
	ctx: Pick<Context, "stores">,
	{ olderThanSeconds, limit }: { olderThanSeconds: number; limit: number },
): Promise<Job[]> {
	return ctx.stores.jobs.listUnmoved(olderThanSeconds, limit);
}
