import type { DeploymentProvider } from "../../providers/deployment-provider.ts";
import { ProviderError } from "../../providers/errors.ts";

/** A call that our own deadline ended: the platform did not answer in time. Other failures stay what they are. */
export function asProviderDown(
	{ displayName }: Pick<DeploymentProvider, "displayName">,
	deadline: AbortSignal,
	thrown: unknown,
): unknown {
	if (!deadline.aborted || thrown !== deadline.reason) return thrown;
	const sentence = `${displayName} did not answer in time.`;
	return new ProviderError("unavailable", sentence, { provider: displayName, cause: thrown });
}
