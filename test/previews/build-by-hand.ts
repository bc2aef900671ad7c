import type { Context } from "../../src/context.ts";
import type { PreviewId } from "../../src/core/ids.ts";
import { branchHooks } from "../../src/deployments/branch-hooks.ts";
import type { JobRun } from "../../src/jobs/job-type.ts";
import { buildPreview } from "../../src/previews/build-preview.ts";
import type { TestServer } from "../support/server.ts";

export type Progress = Record<string, unknown>;

/**
 * One attempt of the job that builds a preview, run by hand as after a crash, and settled. `onSave` sees what it
 * would go on from, and ends the attempt there when it throws. Returns what the job said.
 */
export async function runBuild(
	server: TestServer,
	id: string,
	ctx: Context = server.ctx,
	{
		progress = {},
		onSave = () => undefined,
	}: { progress?: Progress; onSave?: (saved: Progress) => unknown } = {},
): Promise<string[]> {
	const said: string[] = [];
	const job = { previewDatabaseId: id as PreviewId, progress } as JobRun["job"];
	const settle = await buildPreview(branchHooks).run(ctx, {
		job,
		signal: new AbortController().signal,
		say: (line) => said.push(line),
		saveProgress: async (saved) => void (await onSave(saved)),
	});
	await ctx.transaction(async (tx) => void (await settle?.(tx)));
	return said;
}
