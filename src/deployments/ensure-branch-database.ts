import type { Transaction } from "../context.ts";
import { AppError } from "../core/errors.ts";
import type { Integration } from "../integrations/integration.ts";
import { ensurePreview } from "../previews/ensure-preview.ts";
import type { Preview } from "../previews/preview.ts";
import { type Branch, placeOf, previewNameOf } from "./branch.ts";
import type { Deployment } from "./deployment.ts";
import { enqueueBranch } from "./enqueue-branch.ts";

const ttlHoursDefault = 72;
/** Of Vercel's `gitBranch`. */
const branchLengthMax = 250;

/**
 * Sees to it that a preview deployment's branch has a database, which lives on, and that its variables name it. Why it
 * gets none stands in the deployment's `last_error`; nothing is tried again before the platform's next report.
 */
export async function ensureBranchDatabase(
	tx: Transaction,
	integration: Integration,
	deployment: Deployment,
): Promise<void> {
	const { id, branch: name, isPreview, state } = deployment;
	const isAsked = integration.state !== "disabled" && integration.config.previewBranches === true;
	if (!isAsked || !isPreview || state === "canceled" || name === null) return;
	const preview = refusalOf(integration, deployment, name) ?? (await findOrMake(tx, integration, name));
	if (typeof preview === "string") {
		return tx.stores.deployments.setDatabase(id, { previewDatabaseId: null, lastError: preview });
	}
	const { organizationId, projectId, id: integrationId } = integration;
	const aim = { organizationId, projectId, integrationId, branch: name, previewDatabaseId: preview.id };
	const branch = await tx.stores.branches.aim(aim);
	if (deployment.previewDatabaseId !== preview.id) {
		await tx.stores.deployments.setDatabase(id, { previewDatabaseId: preview.id, lastError: null });
	}
	if (preview.state === "ready" && isBehind(branch, integration)) await enqueueBranch(tx, branch);
}

/**
 * A fork's author is a stranger, who must not get at a copy of the data. Where a platform does not name both
 * repositories of a pull request it may be of a fork.
 */
function refusalOf(integration: Integration, deployment: Deployment, branch: string): string | null {
	const { isFork, pullRequest } = deployment;
	if (integration.status.productionBranch === branch) return productionBranchSentence(branch);
	if (branch.length > branchLengthMax) return "The branch's name is too long for a database of its own.";
	if (integration.config.allowForks === true || isFork === false) return null;
	if (isFork) return "The deployment is of a fork, which gets no database unless `allow_forks` is set.";
	if (pullRequest === null) return null;
	return "The pull request may be of a fork: the platform does not say. It gets no database unless `allow_forks` is set.";
}

export function productionBranchSentence(branch: string): string {
	return `${branch} is the production branch: its deployments get no database of their own.`;
}

/** How long a database lives from a deployment on. */
export function branchTtlHours({ config }: Pick<Integration, "config">): number {
	return config.previewTtlHours ?? ttlHoursDefault;
}

async function findOrMake(
	tx: Transaction,
	integration: Integration,
	branch: string,
): Promise<Preview | string> {
	const { projectId } = integration;
	const ttlHours = branchTtlHours(integration);
	try {
		const input = { projectId, name: previewNameOf(branch), mode: "clone" as const, ttlHours };
		return (await ensurePreview(tx, input)).preview;
	} catch (error) {
		// At the limit, or the project is not in a state to be cloned; nothing has been written.
		const isExpected = error instanceof AppError && (error.kind === "conflict" || error.kind === "not_found");
		if (!isExpected) throw error;
		return error.message;
	}
}

function isBehind(branch: Branch, integration: Integration): boolean {
	return branch.pushedPreviewId !== branch.previewDatabaseId || branch.pushedTo !== placeOf(integration);
}
