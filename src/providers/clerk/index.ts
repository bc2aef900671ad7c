import { Type } from "@sinclair/typebox";
import type { AuthProvider } from "../provider.ts";
import { verifyStandardWebhook } from "../signatures.ts";
import { createClerkClient } from "./client.ts";
import { interpret, readWebhook } from "./webhook.ts";

const ConnectClerkBody = Type.Object(
	{
		secret_key: Type.String({
			minLength: 1,
			maxLength: 500,
			pattern: "^[!-~]+$",
			description: "The instance's secret key, sk_test_… or sk_live_….",
		}),
		webhook_signing_secret: Type.Optional(
			Type.String({
				maxLength: 500,
				pattern: "^whsec_[A-Za-z0-9+/]{2,}={0,2}$",
				description: "The signing secret, whsec_…, that Clerk shows for the webhook endpoint.",
			}),
		),
	},
	{ additionalProperties: false },
);

/** Clerk. `origin` is that of its Backend API, `https://api.clerk.com`. */
export function createClerk(options: { origin: string }): AuthProvider {
	const client = createClerkClient(options);
	return {
		kind: "auth",
		id: "clerk",
		pathNames: ["clerk"],
		displayName: "Clerk",
		connectBody: ConnectClerkBody,
		credentialKeys: ["secret_key", "webhook_signing_secret"],
		identify: client.identify,
		verifyWebhook: verifyStandardWebhook,
		refusalsAreFinal: false,
		readWebhook,
		interpret,
		deletesAreFinal: true,
		listUsers: client.listUsers,
		listLagMs: 0,
		countUsers: client.countUsers,
		fetchUser: null,
	};
}
