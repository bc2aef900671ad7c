import type { IntegrationId, OrganizationId, ProjectId } from "../core/ids.ts";
import type { PlatformTarget } from "../providers/deployment-provider.ts";
import type { Credentials } from "../providers/provider.ts";

/** `pending`: exists, not usable yet. `error`: the last job failed for good. `disabled`: by the user. */
export type IntegrationState = "pending" | "active" | "error" | "disabled";

/** The settable keys of `config`. */
export type IntegrationConfig = {
	teamId?: string;
	previewBranches?: boolean;
	previewTtlHours?: number;
	envPrefix?: string;
	envTargets?: string[];
	allowForks?: boolean;
	redeploy?: boolean;
	includePrivateMetadata?: boolean;
};

/** What we report in `config`, and what we note for ourselves. Times are RFC 3339. */
export type IntegrationStatus = {
	/** Why a platform did not take our hook. */
	hookError?: string;
	hookNote?: string;
	lastSyncedAt?: string;
	lastEventAt?: string;
	lastError?: string;
	usersSynced?: number;
	/** Not reported: the team or account that a platform's project or site belongs to. */
	targetTeamId?: string;
	/** Not reported: what production is built from there, as far as the platform says. */
	productionBranch?: string;
	/** Not reported: when hook and variables were last compared with the platform's, and its deployments read. */
	reconciledAt?: string;
	deploymentsReadAt?: string;
	/** Not reported: when `capydb_auth` was first seen to stand. */
	schemaReadyAt?: string;
	/** Why received webhooks have to wait, and how often they were tried since; reported as `last_error`. */
	applyError?: string;
	applyFailures?: number;
	/** Not reported: how many users the last backfill found and could not write. */
	usersLeftOut?: number;
	/** Not reported: when the last nightly reconciliation was queued. */
	reconcileQueuedAt?: string;
	/** Changes refused because another provider of the project holds the user's id; reported in `last_error`. */
	heldChanges?: number;
	/** Changes that the project's database refused while it took others; reported in `last_error`. */
	refusedChanges?: number;
};

/** What reports a platform's deployments to us. Path tokens are kept as their SHA-256, in hex. */
export type PlatformHook = {
	/** Of the hook that stands; null before the first. */
	tokenHash: string | null;
	/** Of a hook that is being registered; null when none is. */
	awaitedTokenHash: string | null;
	/** As they stand at the platform. Their URLs hold the token, so they are not kept. */
	remote: { id: string; event: string | null }[];
	/** Where they stand. */
	target: PlatformTarget | null;
};

/** One signing secret; an older one counts until the given time, RFC 3339. */
export type SigningSecret = { secret: string; until: string | null };

/** How many of an integration's rejected requests are kept; the others are only counted. */
export const recentRejectionsMax = 100;

/** The rejected requests of an integration: how many ever, and the last ones, newest first. */
export type Rejections = { total: number; recent: { at: string; reason: string; address: string }[] };

export type Integration = {
	id: IntegrationId;
	organizationId: OrganizationId;
	projectId: ProjectId;
	provider: string;
	state: IntegrationState;
	externalId: string | null;
	config: IntegrationConfig;
	status: IntegrationStatus;
	/** Sealed; `platform/vault` opens it. */
	credentials: string | null;
	signingSecrets: string | null;
	/** Null at an auth provider, and while there is no hook. */
	hook: PlatformHook | null;
	deletedAt: Date | null;
	createdAt: Date;
	updatedAt: Date;
};

/** What a PUT asks for; absent leaves what is there. */
export type IntegrationPut = {
	/** Merged into what is there; undefined removes a key. */
	config: { [Key in keyof IntegrationConfig]: IntegrationConfig[Key] | undefined };
	externalId?: string | null;
	state?: "active" | "disabled";
	/** Without the signing secret. */
	credentials: Credentials;
	/** Null asks for a new one, absent leaves it. */
	signingSecret?: string | null;
};

/** Whoever enters `external_id` by hand may write a tenant's host name for its name. */
export function isOfInstance({ externalId }: Pick<Integration, "externalId">, instance: string): boolean {
	if (externalId === null || externalId === instance) return true;
	return externalId.startsWith(`${instance}.`) || instance.startsWith(`${externalId}.`);
}

/** Whether there is a secret with which the provider, or its webhooks, can be trusted. */
export function isUsable(integration: Pick<Integration, "credentials" | "signingSecrets">): boolean {
	return integration.credentials !== null || integration.signingSecrets !== null;
}
