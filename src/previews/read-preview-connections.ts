import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { PreviewId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { type Connections, clusterConnections } from "../projects/cluster-connections.ts";
import { previewDeleting, previewNotReady } from "./errors.ts";
import type { Preview } from "./preview.ts";
import { openPassword } from "./preview-credentials.ts";

type Parts = Pick<Context, "vault" | "projectDatabases">;

/** What a customer connects with; writes down who read it. Throws a 409 until the preview is ready. */
export async function readPreviewConnections(
	ctx: Parts & Pick<Context, "stores">,
	input: { previewId: PreviewId; actor: Actor },
): Promise<Connections> {
	const preview = await ctx.stores.previews.find(input.previewId);
	if (!preview) throw notFound("preview database");
	if (preview.state === "deleting") throw previewDeleting();
	if (preview.state !== "ready") throw previewNotReady();
	const { organizationId, projectId } = preview;
	const metadata = { preview_database_id: preview.id };
	const { actor } = input;
	await recordAudit(ctx, { organizationId, projectId, action: "preview.credentials_read", actor, metadata });
	return previewConnections(ctx, preview);
}

/** The URLs of a preview; they hold its password, and work once it is ready. */
export function previewConnections(ctx: Parts, preview: Preview): Connections {
	const password = openPassword(ctx.vault, preview);
	return clusterConnections(ctx.projectDatabases, { name: preview.id, password });
}
