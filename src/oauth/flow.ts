import type { OrganizationId, ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import type { Credentials } from "../providers/provider.ts";

/**
 * One way of a caller's browser to a platform and back. It is found by the hash of what the browser brings: first the
 * state, and once a grant waits to be confirmed the confirmation instead.
 */
export type OAuthFlow = {
	tokenHash: string;
	organizationId: OrganizationId;
	projectId: ProjectId;
	provider: string;
	actorKind: Actor["kind"];
	actorId: string | null;
	/** Sealed: what was granted and waits to be confirmed. */
	heldGrant: string | null;
	/** When the state was taken; it counts once. */
	usedAt: Date | null;
	expiresAt: Date;
	createdAt: Date;
};

/** What a flow brings home. */
export type Granted = {
	/** As an integration keeps them; with `expires_at`, RFC 3339, where the token does not last. */
	credentials: Credentials;
	/** The account that the grant is for; undefined where a token is for all of its user's accounts. */
	teamId: string | null | undefined;
};

export const flowMinutes = 10;

export function actorOfFlow({ actorKind, actorId }: OAuthFlow): Actor {
	return { kind: actorKind, id: actorId };
}
