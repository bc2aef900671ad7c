import type { Context } from "../context.ts";
import type { NewEvent } from "../events/event.ts";
import type { DeletionReason, Preview } from "./preview.ts";
import { toPreviewWire } from "./wire.ts";

/** The event that tells of a preview, as it is after the change. */
export function previewEvent(
	ctx: Pick<Context, "projectDatabases">,
	preview: Preview,
	type: "preview.ready" | "preview.deleted",
	more: { reason?: DeletionReason } = {},
): NewEvent {
	const { organizationId, projectId } = preview;
	const data = JSON.stringify({
		preview: toPreviewWire(preview, ctx.projectDatabases.publicAddress()),
		...more,
	});
	return { organizationId, projectId, type, data };
}
