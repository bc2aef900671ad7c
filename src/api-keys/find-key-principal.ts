import type { Context } from "../context.ts";
import type { Principal } from "../core/principal.ts";
import { hashKey, isKeyText } from "./key-text.ts";

/** Whose key this is; null for one that is unknown, revoked or expired. */
export async function findKeyPrincipal(
	ctx: Pick<Context, "stores" | "log">,
	key: string,
): Promise<Principal | null> {
	if (!isKeyText(key)) return null;
	const known = await ctx.stores.apiKeys.findKnown(hashKey(key));
	if (!known) return null;
	if (known.isUseStale) touchBehind(ctx, known.principal.keyId);
	return known.principal;
}

/** Nobody waits for it, and losing it costs a minute of a column that people look at. */
function touchBehind(
	ctx: Pick<Context, "stores" | "log">,
	id: Parameters<Context["stores"]["apiKeys"]["touch"]>[0],
): void {
	ctx.stores.apiKeys.touch(id).catch((error: unknown) => {
		ctx.log.debug({ key_id: id, err: error }, "a key's last use was not written down");
	});
}
