import { AppError } from "../../core/errors.ts";
import type { DeploymentProvider } from "../../providers/deployment-provider.ts";

export function platformBusy(): AppError {
	const sentence = "The integration is being changed just now; try again shortly.";
	return new AppError("unavailable", "integration.busy", sentence, { retryAfterSeconds: 5 });
}

export function tokenMissing({ displayName }: Pick<DeploymentProvider, "displayName">): AppError {
	const sentence = `\`token\` is missing: give one of ${displayName}, or connect the account with OAuth first.`;
	return new AppError("invalid", "token.missing", sentence);
}

export function targetMissing({ displayName, targetField }: DeploymentProvider): AppError {
	const sentence = `The integration names no target at ${displayName} yet: connect it with \`${targetField}\`.`;
	return new AppError("invalid", "integration.no_target", sentence);
}

/** What was pushed to the target would be left there with nobody to remove it. */
export function targetIsKept({ displayName }: Pick<DeploymentProvider, "displayName">): AppError {
	const sentence = `\`external_id\` cannot be removed from an integration with ${displayName}: name another, or disconnect it.`;
	return new AppError("invalid", "external_id.invalid", sentence);
}
