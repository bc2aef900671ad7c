import type { Context } from "../context.ts";
import type { Integration } from "./integration.ts";

/** Ids of the other providers that are connected to the project; a disabled one stays connected. */
export async function otherProviders(
	{ stores }: Pick<Context, "stores">,
	{ projectId, provider }: Pick<Integration, "projectId" | "provider">,
): Promise<string[]> {
	const all = await stores.integrations.list(projectId, { limit: null, before: null });
	return all.map((each) => each.provider).filter((each) => each !== provider);
}
