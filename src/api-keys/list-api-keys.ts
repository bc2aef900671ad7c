import type { Context } from "../context.ts";
import type { ApiKeyId, OrganizationId } from "../core/ids.ts";
import type { ApiKey } from "./api-key.ts";

/** An organization's keys, revoked ones too, newest first; with a limit, one row more than asked for. */
export function listApiKeys(
	ctx: Pick<Context, "stores">,
	input: { organizationId: OrganizationId; page: { limit: number | null; before: ApiKeyId | null } },
): Promise<ApiKey[]> {
	return ctx.stores.apiKeys.list(input.organizationId, input.page);
}
