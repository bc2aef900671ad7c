import { AppError } from "../core/errors.ts";
import type { DeploymentProvider } from "../providers/deployment-provider.ts";
import { flowMinutes } from "./flow.ts";

type Named = { displayName: string };

export function noOAuth({ displayName }: Named): AppError {
	const sentence = `${displayName} is not connected with OAuth: connect it with its credentials.`;
	return new AppError("invalid", "oauth.unsupported", sentence);
}

export function oauthNotConfigured({ displayName, oauthVariables }: DeploymentProvider): AppError {
	const names = oauthVariables.join(", ");
	const sentence = `OAuth with ${displayName} is not configured: the operator of this server has to set ${names}.`;
	return new AppError("invalid", "oauth.not_configured", sentence);
}

export function stateMissing(): AppError {
	return new AppError("invalid", "oauth_state.missing", `\`state\` is missing. ${startAgain}`);
}

export function stateInvalid(): AppError {
	const sentence = `\`state\` is not one that this server gave for this provider. ${startAgain}`;
	return new AppError("invalid", "oauth_state.invalid", sentence);
}

export function stateUsed(): AppError {
	return new AppError("invalid", "oauth_state.used", `\`state\` was used already. ${startAgain}`);
}

export function stateExpired(): AppError {
	const sentence = `\`state\` is older than ${flowMinutes} minutes. ${startAgain}`;
	return new AppError("invalid", "oauth_state.expired", sentence);
}

export function callbackUnreadable({ displayName }: Named): AppError {
	const sentence = `\`code\` is missing: ${displayName} sends it, or an \`error\`. ${startAgain}`;
	return new AppError("invalid", "oauth.code_missing", sentence);
}

/** `reason` is from our own list. */
export function refusedAtProvider({ displayName }: Named, reason: string): AppError {
	const sentence =
		reason === "access_denied"
			? `The access was not granted at ${displayName}. ${startAgain}`
			: `${displayName} did not grant the access (${reason}). ${startAgain}`;
	return new AppError("refused_upstream", "oauth.refused", sentence);
}

export function notAForm(): AppError {
	const sentence = "The body must be sent as application/x-www-form-urlencoded.";
	return new AppError("unsupported", "body.unsupported", sentence);
}

export function confirmationInvalid(): AppError {
	const sentence = `\`confirmation\` is unknown, was used already, or is older than ${flowMinutes} minutes. ${startAgain}`;
	return new AppError("invalid", "oauth_confirmation.invalid", sentence);
}

export function callerGone(): AppError {
	const sentence =
		"The API key that this was started with is not in force any more. Start again with another.";
	return new AppError("invalid", "oauth.caller_gone", sentence);
}

const startAgain = "Start again from the dashboard.";
