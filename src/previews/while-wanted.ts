import type { Context } from "../context.ts";
import { JobClaimLost } from "../jobs/errors.ts";
import type { JobRun } from "../jobs/job-type.ts";
import { previewDeleting } from "./errors.ts";
import type { Preview } from "./preview.ts";

const lookEveryMs = 2_000;

/**
 * Does long work for a preview, with a signal that aborts when the server stops, when another process has taken the
 * job over, and when the preview is to be deleted.
 */
export async function whileWanted(
	ctx: Pick<Context, "stores" | "log">,
	run: JobRun,
	preview: Preview,
	work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
	const unwanted = new AbortController();
	const look = async () => {
		try {
			await run.saveProgress({});
			const now = await ctx.stores.previews.find(preview.id);
			if (!now || now.state === "deleting") unwanted.abort(previewDeleting());
		} catch (error) {
			if (error instanceof JobClaimLost) unwanted.abort(error);
			else ctx.log.warn({ job_id: run.job.id, err: error }, "whether a job is still wanted is not known");
		}
	};
	await look();
	const timer = setInterval(() => void look(), lookEveryMs);
	try {
		await work(AbortSignal.any([run.signal, unwanted.signal]));
	} finally {
		clearInterval(timer);
	}
}
