import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { PreviewId } from "../core/ids.ts";
import type { Preview } from "./preview.ts";

export async function getPreview(ctx: Pick<Context, "stores">, id: PreviewId): Promise<Preview> {
	const preview = await ctx.stores.previews.find(id);
	if (!preview) throw notFound("preview database");
	return preview;
}
