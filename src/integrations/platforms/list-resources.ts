import type { Context } from "../../context.ts";
import { AppError } from "../../core/errors.ts";
import type { ProjectId } from "../../core/ids.ts";
import type { DeploymentProvider, PlatformResource } from "../../providers/deployment-provider.ts";
import type { Provider } from "../../providers/registry.ts";
import { atProvider } from "../at-provider.ts";
import { getIntegration } from "../get-integration.ts";
import { asProviderDown } from "./deadline.ts";
import { platformCredentials } from "./open-platform.ts";

const deadlineMs = 15_000;

/**
 * What the stored token can see, to choose a target from. Throws a 404 without an integration, a 400 without a token,
 * when the platform refuses it and for a provider that has nothing to choose from, and a 502 when it is down.
 */
export async function listResources(
	ctx: Pick<Context, "stores" | "vault" | "providers" | "clock" | "log">,
	{ projectId, provider }: { projectId: ProjectId; provider: Provider },
): Promise<PlatformResource[]> {
	const integration = await getIntegration(ctx, { projectId, provider });
	if (provider.kind === "auth") throw noResources(provider);
	const teamId = integration.config.teamId ?? integration.status.targetTeamId ?? null;
	return atProvider(async () => {
		const credentials = await platformCredentials(ctx, integration, provider);
		return ask(provider, { credentials, teamId });
	});
}

async function ask(
	provider: DeploymentProvider,
	access: Omit<Parameters<DeploymentProvider["listResources"]>[0], "signal">,
): Promise<PlatformResource[]> {
	const signal = AbortSignal.timeout(deadlineMs);
	try {
		return await provider.listResources({ ...access, signal });
	} catch (thrown) {
		throw asProviderDown(provider, signal, thrown);
	}
}

function noResources({ displayName }: Pick<Provider, "displayName">): AppError {
	const sentence = `${displayName} has no resources to choose from: its credentials name the whole instance.`;
	return new AppError("invalid", "provider.no_resources", sentence);
}
