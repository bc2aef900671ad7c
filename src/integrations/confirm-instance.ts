import type { Context } from "../context.ts";
import { AppError } from "../core/errors.ts";
import type { AuthProvider } from "../providers/provider.ts";
import { type Integration, isOfInstance } from "./integration.ts";
import { callCredentials } from "./integration-secrets.ts";

/**
 * Asks the provider whose the stored credentials are. An instance that was not known is remembered, so that webhooks
 * are compared with it. Throws a 409 for another than the one that is connected, whose users would be taken for
 * gone, and a ProviderError.
 */
export async function confirmInstance(
	ctx: Pick<Context, "stores" | "vault" | "clock">,
	provider: AuthProvider,
	integration: Integration,
): Promise<void> {
	const { externalId: instance } = await provider.identify(callCredentials(ctx, integration));
	if (instance === null) return;
	if (integration.externalId === null) {
		await ctx.stores.integrations.rememberInstance(integration, instance);
	} else if (!isOfInstance(integration, instance)) {
		const sentence = `The credentials belong to ${instance} at ${provider.displayName}, but ${integration.externalId} is connected: connect again, or set \`external_id\`.`;
		throw new AppError("conflict", "integration.wrong_instance", sentence);
	}
}
