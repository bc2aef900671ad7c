import type { TObject } from "@sinclair/typebox";
import type { PlatformOAuth } from "./oauth.ts";
import type { Credentials, InboundEvent, WebhookHeaders, WebhookVerdict } from "./provider.ts";

/** Where on a platform one integration works: a Vercel project, a Netlify site. */
export type PlatformTarget = {
	/** Of the project or site, never its name: names change. Stored as `external_id`. */
	id: string;
	/** Vercel: the team, null in a personal account. Netlify: the account that the site belongs to. */
	teamId: string | null;
};

/** What a platform says of a target. */
export type IdentifiedTarget = {
	target: PlatformTarget;
	name: string;
	/** What production is built from; null where the platform does not say. */
	productionBranch: string | null;
};

/** With what, where and how long a call may be made. Every call throws ProviderError and retries nothing. */
export type PlatformAccess = { credentials: Credentials; target: PlatformTarget; signal?: AbortSignal };

/** A project or site that a token can see. */
export type PlatformResource = { id: string; name: string; teamId: string | null; teamName: string | null };

/** A variable as it shall stand at the platform, secret there. */
export type DesiredVariable = {
	key: string;
	value: string;
	/** Names the value without showing it; kept beside what we wrote, compared as text. */
	fingerprint: string;
	/** For the deployments of this branch alone; null for all of `targets`. */
	branch: string | null;
	/** Some of `variableTargets`; a variable of a branch has none of its own. */
	targets: readonly string[];
};

/** What we keep of a variable that we wrote. `id` and `version` are the provider's to fill and to read. */
export type OwnedVariable = {
	key: string;
	branch: string | null;
	fingerprint: string;
	id: string;
	/** The platform's own mark of the last change, as it stood after our write. */
	version: string | null;
};

export type VariablesPushed = {
	/** One for each desired variable, to be kept in place of what was kept before for that key and branch. */
	owned: OwnedVariable[];
	/** Those that had to be written; each `key` with its `branch`. */
	written: Pick<OwnedVariable, "key" | "branch">[];
	/** Those among them that stood there before and were not ours. */
	takenOver: Pick<OwnedVariable, "key" | "branch">[];
};

/** A hook at the platform. `url` is what the platform calls, path token included: never log it. */
export type RemoteHook = { id: string; url: string; event: string | null };

export type HookRegistered = {
	hooks: RemoteHook[];
	/** What deliveries are signed with; null where they cannot be, and then `note` says so. */
	signingSecret: string | null;
	note: string | null;
};

/** `repaired` brings the hooks as they are now; after `missing` the caller registers anew, then deletes the old ones. */
export type HookCheck =
	| { state: "standing" }
	| { state: "repaired"; hooks: RemoteHook[] }
	| { state: "missing" };

/** In order of rank: of two reports with one time the later in this list counts; `ready`, `failed` and `canceled` are level. */
export type DeploymentState = "created" | "building" | "ready" | "failed" | "canceled" | "promoted";

/** What a webhook, the list or a single look-up says of one deployment. */
export type Deployment = {
	id: string;
	/** The project or site; null where the platform left it out. */
	targetId: string | null;
	state: DeploymentState;
	/** The platform's word for what it was built for: `production`, `preview`, `deploy-preview`, …. */
	context: string;
	/** Built with the preview variables of its branch. */
	isPreview: boolean;
	/** Started by us or by someone's "redeploy" from an earlier deployment, where the platform says so. */
	isRedeploy: boolean;
	branch: string | null;
	commitSha: string | null;
	/** Without e-mail addresses. */
	commitMessage: string | null;
	/** A name or login, never an e-mail address. */
	commitAuthor: string | null;
	pullRequest: number | null;
	/** Head and base repository differ; null when the platform does not name both. */
	isFork: boolean | null;
	/** With its scheme. */
	url: string | null;
	inspectUrl: string | null;
	/** The platform's machine-readable code of a failure, where it is given. */
	errorCode: string | null;
	createdAt: Date | null;
	/** When the state was reached, as far as the platform says; with it reports are put in order. */
	occurredAt: Date | null;
};

/** One page of deployments, newest first. `cursor` is what the next call takes; null at the end. */
export type DeploymentPage = { deployments: Deployment[]; cursor: string | null };

/** A verified webhook of a platform. `instance` is the project or site; compare it with the target. */
export type PlatformEvent = InboundEvent & {
	/** A second key for the same event, in case the first changes from one try to the next; null where there is none. */
	alternateEventId: string | null;
};

/** What a refused webhook is answered with: some platforms give up, or destroy the hook, on the wrong status. */
export type RefusalStatuses = {
	/** The project is known; the integration or the path token is not. */
	noIntegration: 401 | 404;
	badSignature: 401;
	/** The secret is on its way, as while a hook is being registered. */
	noSecretYet: 503;
};

/** A deployment platform: gets the project's URLs, and reports its deployments. */
export type DeploymentProvider = {
	kind: "deployment";
	id: string;
	/** As it stands in a path; the stored id is always `id`. */
	pathNames: readonly string[];
	displayName: string;
	/** Body of `POST …/{provider}/connect`. `token` is optional there: OAuth may have brought one. */
	connectBody: TObject;
	/** The field of `connectBody` that names the project or site. */
	targetField: "vercel_project_id" | "site_id";
	/** Keys that `credentials` of a PUT may hold. */
	credentialKeys: readonly string[];
	/** Under which key of `config` a refused hook registration is reported. */
	hookErrorField: "webhook_error" | "hook_error";
	/** What `env_targets` may hold. */
	variableTargets: readonly string[];
	/** Where the project's own variables go unless `env_targets` says otherwise; fewer with a database per branch. */
	defaultTargets(options: { previewBranches: boolean }): readonly string[];
	refusals: RefusalStatuses;

	/** Checks the token and finds the project or site by id or name. */
	identify(access: PlatformAccess): Promise<IdentifiedTarget>;
	/** What the token can see, at most 1,000. `target.id` is not looked at. */
	listResources(
		access: Pick<PlatformAccess, "credentials" | "signal"> & { teamId: string | null },
	): Promise<PlatformResource[]>;

	/** Reads once, writes only what differs. `owned` is all that we keep for this integration. */
	pushVariables(
		access: PlatformAccess,
		input: { desired: readonly DesiredVariable[]; owned: readonly OwnedVariable[] },
	): Promise<VariablesPushed>;
	/**
	 * Removes those that still stand as we wrote them; others are left and named in `kept`. One whose `id` is empty was
	 * begun and never recorded: it goes where the platform can tell that it is ours.
	 */
	removeVariables(
		access: PlatformAccess,
		owned: readonly OwnedVariable[],
	): Promise<{ removed: OwnedVariable[]; kept: OwnedVariable[] }>;

	/** Registers what reports this target's deployments to `url`. `secret` is used where the platform lets us choose it. */
	registerHook(access: PlatformAccess, input: { url: string; secret: string }): Promise<HookRegistered>;
	/** Whether what was registered still stands, is enabled and calls `url`; mends what can be mended in place. */
	checkHook(
		access: PlatformAccess,
		input: { hooks: readonly RemoteHook[]; url: string; secret: string | null },
	): Promise<HookCheck>;
	/** All hooks of the target: a registration whose answer was lost is found here by its URL. */
	listHooks(access: PlatformAccess): Promise<RemoteHook[]>;
	/** A hook that is gone already counts as deleted. */
	deleteHook(access: PlatformAccess, hookId: string): Promise<void>;

	/** Deployments created at `since` or later. */
	listDeployments(
		access: PlatformAccess,
		input: { since: Date; cursor: string | null },
	): Promise<DeploymentPage>;
	readDeployment(access: PlatformAccess, deploymentId: string): Promise<Deployment>;
	/** Builds a deployment again, with the variables as they are now. Null where the platform does not name the new one. */
	redeploy(
		access: PlatformAccess,
		input: { deploymentId: string; branch: string },
	): Promise<{ deploymentId: string | null }>;

	/** Judges the signature over the raw bytes. `secrets` are the live signing secrets, newest first. */
	verifyWebhook(input: {
		rawBody: Buffer;
		headers: WebhookHeaders;
		secrets: readonly string[];
		now: Date;
	}): WebhookVerdict;
	/** Reads a genuine webhook; null when the body is not what the platform sends. `event` is that of our URL's query. */
	readWebhook(input: {
		rawBody: Buffer;
		headers: WebhookHeaders;
		event: string | null;
	}): PlatformEvent | null;
	/** What a stored document says of a deployment; null when it is about something else. */
	interpret(event: Pick<InboundEvent, "type" | "document" | "occurredAt">): Deployment | null;

	/** Null while its client is not configured; `oauthVariables` names what is missing then. */
	oauth: PlatformOAuth | null;
	oauthVariables: readonly string[];
};
