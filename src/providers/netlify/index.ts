import { Type } from "@sinclair/typebox";
import type { DeploymentProvider } from "../deployment-provider.ts";
import { createNetlifyHttp } from "./client.ts";
import { listDeployments, readDeployment, redeploy } from "./deploys.ts";
import { checkHook, deleteHook, listHooks, registerHook } from "./hooks.ts";
import { createNetlifyOAuth, type NetlifyOAuthClient } from "./oauth.ts";
import { identify, listResources } from "./sites.ts";
import { pushVariables, removeVariables } from "./variables.ts";
import { interpret, readWebhook, verifyWebhook } from "./webhook.ts";

const ConnectNetlifyBody = Type.Object(
	{
		site_id: Type.String({
			minLength: 1,
			maxLength: 253,
			pattern: "^[A-Za-z0-9._-]+$",
			description: "The site's id, its name, or one of its domains.",
		}),
		token: Type.Optional(
			Type.String({
				minLength: 1,
				maxLength: 500,
				pattern: "^[!-~]+$",
				description: "A personal access token; may be left out after the OAuth flow.",
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

export type NetlifyOptions = {
	/** Of the REST API, `https://api.netlify.com`. */
	origin: string;
	/** Where users agree. */
	authorizeOrigin?: string;
	/** Null while the operator has not configured the OAuth application. */
	oauth: NetlifyOAuthClient | null;
};

/** Netlify. */
export function createNetlify(options: NetlifyOptions): DeploymentProvider {
	const http = createNetlifyHttp(options.origin);
	const authorizeOrigin = options.authorizeOrigin ?? "https://app.netlify.com";
	const contexts = ["production", "deploy-preview", "branch-deploy"];
	return {
		kind: "deployment",
		id: "netlify",
		pathNames: ["netlify"],
		displayName: "Netlify",
		connectBody: ConnectNetlifyBody,
		targetField: "site_id",
		credentialKeys: ["token"],
		hookErrorField: "hook_error",
		// A secret cannot be set for `all`, and in `dev` everyone who sees the site could read it.
		variableTargets: contexts,
		// The racing first build of a branch must never reach the production database.
		defaultTargets: ({ previewBranches }) => (previewBranches ? ["production"] : contexts),
		// A 404 counts as a failure and is not tried again, a 410 destroys the hook.
		refusals: { noIntegration: 401, badSignature: 401, noSecretYet: 503 },
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
		oauth: options.oauth === null ? null : createNetlifyOAuth(http, options.oauth, authorizeOrigin),
		oauthVariables: ["NETLIFY_CLIENT_ID", "NETLIFY_CLIENT_SECRET"],
	};
}
