import type { Context } from "../context.ts";
import type { PreviewId, ProjectId } from "../core/ids.ts";
import type { Preview } from "./preview.ts";

/** A project's previews, newest first; with a limit, one row more than asked for. */
export function listPreviews(
	ctx: Pick<Context, "stores">,
	input: { projectId: ProjectId; page: { limit: number | null; before: PreviewId | null } },
): Promise<Preview[]> {
	return ctx.stores.previews.list(input.projectId, input.page);
}
