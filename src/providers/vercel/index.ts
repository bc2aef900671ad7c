import { Type } from "@sinclair/typebox";
import type { DeploymentProvider } from "../deployment-provider.ts";
import { createVercelHttp } from "./client.ts";
import { listDeployments, readDeployment, redeploy } from "./deployments.ts";
import { checkHook, deleteHook, listHooks, registerHook } from "./hooks.ts";
import { createVercelOAuth, type VercelOAuthClient } from "./oauth.ts";
import { identify, listResources } from "./projects.ts";
import { pushVariables, removeVariables } from "./variables.ts";
import { interpret, readWebhook, verifyWebhook } from "./webhook.ts";

const ConnectVercelBody = Type.Object(
	{
		vercel_project_id: Type.String({
			minLength: 1,
			maxLength: 100,
			pattern: "^[A-Za-z0-9._-]+$",
			description: "The project's id, prj_…, or its name.",
		}),
		token: Type.Optional(
			Type.String({
				minLength: 1,
				maxLength: 500,
				pattern: "^[!-~]+$",
				description: "An access token; may be left out after the OAuth flow.",
			}),
		),
		team_id: Type.Optional(
			Type.String({
				minLength: 1,
				maxLength: 100,
				pattern: "^[A-Za-z0-9._-]+$",
				description: "The team that the project belongs to: its id, team_…, or its slug.",
			}),
		),
		preview_branches: Type.Optional(
			Type.Boolean({
				default: false,
				description: "A database of its own for every branch that is deployed.",
			}),
		),
	},
	{ additionalProperties: false },
);

export type VercelOptions = {
	/** Of the REST API, `https://api.vercel.com`. */
	origin: string;
	/** Where users install the integration. */
	authorizeOrigin?: string;
	/** Null while the operator has not configured the integration. */
	oauth: VercelOAuthClient | null;
};

/** Vercel. */
export function createVercel(options: VercelOptions): DeploymentProvider {
	const http = createVercelHttp(options.origin);
	const authorizeOrigin = options.authorizeOrigin ?? "https://vercel.com";
	return {
		kind: "deployment",
		id: "vercel",
		pathNames: ["vercel"],
		displayName: "Vercel",
		connectBody: ConnectVercelBody,
		targetField: "vercel_project_id",
		credentialKeys: ["token"],
		hookErrorField: "webhook_error",
		// A sensitive variable cannot have the target `development`.
		variableTargets: ["production", "preview"],
		// The racing first build of a branch must never reach the production database.
		defaultTargets: ({ previewBranches }) => (previewBranches ? ["production"] : ["production", "preview"]),
		refusals: { noIntegration: 404, badSignature: 401, noSecretYet: 503 },
		identify: (access) => identify(http, access),
		listResources: (access) => listResources(http, access),
		pushVariables: (access, input) => pushVariables(http, access, input),
		removeVariables: (access, owned) => removeVariables(http, access, owned),
		registerHook: (access, input) => registerHook(http, access, input),
		checkHook: (access, input) => checkHook(http, access, input),
		listHooks: (access) => listHooks(http, access),
		deleteHook: (access, hookId) => deleteHook(http, access, hookId),
		listDeployments: (access, input) => listDeployments(http, access, input),
		readDeployment: (access, deploymentId) => readDeployment(http, access, deploymentId),
		redeploy: (access, input) => redeploy(http, access, input),
		verifyWebhook,
		readWebhook,
		interpret,
		oauth: options.oauth === null ? null : createVercelOAuth(http, options.oauth, authorizeOrigin),
		oauthVariables: ["VERCEL_CLIENT_ID", "VERCEL_CLIENT_SECRET", "VERCEL_INTEGRATION_SLUG"],
	};
}
