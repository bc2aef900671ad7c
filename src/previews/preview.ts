import type { OrganizationId, PreviewId, ProjectId } from "../core/ids.ts";

export type PreviewState = "provisioning" | "ready" | "failed" | "deleting";

/** `empty`: a fresh database. `clone`: begins as a copy of the project's database. */
export type PreviewMode = "empty" | "clone";

/** A database of its own beside a project's, for a while. Its database and its role are named by its id. */
export type Preview = {
	id: PreviewId;
	organizationId: OrganizationId;
	projectId: ProjectId;
	name: string;
	mode: PreviewMode;
	state: PreviewState;
	/** Sealed JSON. */
	credentials: string;
	lastError: string | null;
	/** Set while it is being deleted. */
	deletionReason: DeletionReason | null;
	ttlExpiresAt: Date;
	createdAt: Date;
	updatedAt: Date;
};

/** Why a preview is deleted; `preview.deleted` says it. */
export type DeletionReason = "requested" | "expired" | "project_deleted";

/** What the jobs of a preview lock: two of them never run at once. */
export function previewResource(id: PreviewId): string {
	return `preview:${id}`;
}
