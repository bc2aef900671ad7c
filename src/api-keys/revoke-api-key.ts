import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import type { ApiKeyId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";

/** Ends a key at once and for good; it stays listed. Revoking one again changes nothing. */
export async function revokeApiKey(
	ctx: Pick<Context, "transaction">,
	input: { keyId: ApiKeyId; actor: Actor },
): Promise<void> {
	await ctx.transaction(async (tx) => {
		const revoked = await tx.stores.apiKeys.revoke(input.keyId);
		if (!revoked) return;
		const { organizationId, projectId, id } = revoked;
		const metadata = { api_key_id: id };
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "api_key.revoked",
			actor: input.actor,
			metadata,
		});
	});
}
