import type { ApiKeyId, OrganizationId, ProjectId } from "../core/ids.ts";
import type { Scope } from "../core/principal.ts";

/** A key as it may be shown; the key itself is known only to whom it was issued. */
export type ApiKey = {
	id: ApiKeyId;
	organizationId: OrganizationId;
	/** Set for a key that reaches one project only. */
	projectId: ProjectId | null;
	name: string;
	keyPrefix: string;
	scopes: Scope[];
	source: "api" | "bootstrap" | "cli";
	deviceName: string | null;
	createdByUserId: string | null;
	expiresAt: Date | null;
	lastUsedAt: Date | null;
	revokedAt: Date | null;
	createdAt: Date;
};
