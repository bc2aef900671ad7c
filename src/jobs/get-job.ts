import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { JobId } from "../core/ids.ts";
import type { Job } from "./job.ts";

export async function getJob(ctx: Pick<Context, "stores">, id: JobId): Promise<Job> {
	const job = await ctx.stores.jobs.find(id);
	if (!job) throw notFound("job");
	return job;
}
