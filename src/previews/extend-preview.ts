import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { PreviewId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { previewDeleting } from "./errors.ts";
import type { Preview } from "./preview.ts";

/** Lets a preview live for so many hours from now, which may be less than before. Throws a 409 while it is deleted. */
export async function extendPreview(
	ctx: Pick<Context, "transaction">,
	input: { previewId: PreviewId; ttlHours: number; actor: Actor },
): Promise<Preview> {
	const { previewId, ttlHours, actor } = input;
	return ctx.transaction(async (tx) => {
		if (!(await tx.stores.previews.findForUpdate(previewId))) throw notFound("preview database");
		const preview = await tx.stores.previews.setTtl(previewId, ttlHours);
		if (!preview) throw previewDeleting();
		const { organizationId, projectId } = preview;
		const metadata = { preview_database_id: previewId, ttl_hours: ttlHours };
		await recordAudit(tx, { organizationId, projectId, action: "preview.ttl_extended", actor, metadata });
		return preview;
	});
}
