import { createHash } from "node:crypto";
import type { IntegrationId, OrganizationId, PreviewId, ProjectId } from "../core/ids.ts";
import type { Integration } from "../integrations/integration.ts";

/** A branch at a platform that has a database of its own, or variables that name one. */
export type Branch = {
	integrationId: IntegrationId;
	/** As the platform spells it. */
	branch: string;
	organizationId: OrganizationId;
	projectId: ProjectId;
	/** What its variables shall name; null once that is gone. */
	previewDatabaseId: PreviewId | null;
	/** What they name since `pushedAt`, and where. */
	pushedPreviewId: PreviewId | null;
	pushedTo: string | null;
	pushedAt: Date | null;
	/** The database for which it was built once more. */
	redeployedPreviewId: PreviewId | null;
	lastError: string | null;
	failedAt: Date | null;
	createdAt: Date;
	updatedAt: Date;
};

const slugLengthMax = 40;
const hashLength = 7;

/**
 * The name of the preview database that belongs to a branch. What a name cannot hold is replaced, and a short hash of
 * the branch tells apart what would be called the same then.
 */
export function previewNameOf(branch: string): string {
	return `branch-${slugOf(branch)}`;
}

/** What the jobs of a branch lock: two of them never run at once. */
export function branchResource({ integrationId, branch }: Pick<Branch, "integrationId" | "branch">): string {
	return `branch:${integrationId}:${slugOf(branch)}`;
}

/** Where variables stand: pushed to another project, or under another prefix, they are pushed again. */
export function placeOf({ externalId, config }: Pick<Integration, "externalId" | "config">): string {
	return JSON.stringify([externalId, config.envPrefix ?? ""]);
}

function slugOf(branch: string): string {
	const slug = branch
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, "-")
		.replace(/^-+|-+$/g, "");
	if (slug === branch && slug.length <= slugLengthMax) return slug;
	const hash = createHash("sha256").update(branch).digest("hex").slice(0, hashLength);
	const kept = slug.slice(0, slugLengthMax - hashLength - 1).replace(/-+$/, "");
	return kept === "" ? hash : `${kept}-${hash}`;
}
