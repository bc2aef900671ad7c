import { and, desc, eq, lt, sql } from "drizzle-orm";
import type { DeploymentId, IntegrationId, PreviewId, ProjectId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import type { ReportedFields } from "./converge.ts";
import type { Deployment } from "./deployment.ts";
import { deployments } from "./table.ts";

export type NewDeployment = ReportedFields &
	Pick<Deployment, "id" | "organizationId" | "projectId" | "integrationId" | "provider" | "externalId">;

type BranchKey = { integrationId: IntegrationId; branch: string };

type DeploymentKey = Pick<Deployment, "projectId" | "provider" | "externalId">;

export function deploymentStore({ orm }: Database) {
	const touched = { updatedAt: sql`clock_now()` };
	return {
		/** Null when there is one under its key: nothing is written. */
		async insert(deployment: NewDeployment): Promise<Deployment | null> {
			const { projectId, provider, externalId } = deployments;
			const [row] = await orm
				.insert(deployments)
				.values(deployment)
				.onConflictDoNothing({ target: [projectId, provider, externalId] })
				.returning();
			return row ?? null;
		},

		/** By the platform's id, locked until the transaction ends. */
		async findForUpdate(key: DeploymentKey): Promise<Deployment | null> {
			const [row] = await orm
				.select()
				.from(deployments)
				.where(
					and(
						eq(deployments.projectId, key.projectId),
						eq(deployments.provider, key.provider),
						eq(deployments.externalId, key.externalId),
					),
				)
				.for("update");
			return row ?? null;
		},

		async update(
			id: DeploymentId,
			values: ReportedFields & Pick<Deployment, "integrationId">,
		): Promise<Deployment> {
			const [row] = await orm
				.update(deployments)
				.set({ ...values, ...touched })
				.where(eq(deployments.id, id))
				.returning();
			if (!row) throw new Error(`There is no deployment ${id}.`);
			return row;
		},

		/** Newest first; one row more than `limit`, to show whether there are more. */
		async list(
			projectId: ProjectId,
			page: { limit: number; before: DeploymentId | null },
		): Promise<Deployment[]> {
			const before = page.before === null ? undefined : lt(deployments.id, page.before);
			return orm
				.select()
				.from(deployments)
				.where(and(eq(deployments.projectId, projectId), before))
				.orderBy(desc(deployments.id))
				.limit(page.limit + 1);
		},

		/** Says which database a deployment's branch has, or why it has none. */
		async setDatabase(
			id: DeploymentId,
			database: { previewDatabaseId: PreviewId | null; lastError: string | null },
		): Promise<void> {
			await orm
				.update(deployments)
				.set({ ...database, ...touched })
				.where(eq(deployments.id, id));
		},

		/** The preview deployment of a branch that was begun last. */
		async findLatestOfBranch(key: BranchKey): Promise<Deployment | null> {
			const [row] = await orm
				.select()
				.from(deployments)
				.where(and(ofBranch(key), eq(deployments.isPreview, true)))
				.orderBy(desc(deployments.startedAt), desc(deployments.id))
				.limit(1);
			return row ?? null;
		},

		/** Says at that deployment why it has no database, or not the variables; null when it has. */
		async setErrorOfLatest(key: BranchKey, lastError: string | null): Promise<void> {
			const latest = await this.findLatestOfBranch(key);
			if (latest === null || latest.lastError === lastError) return;
			await orm
				.update(deployments)
				.set({ lastError, ...touched })
				.where(eq(deployments.id, latest.id));
		},
	};
}

/** By a digest, which fits into an index whatever the branch is called. */
function ofBranch({ integrationId, branch }: BranchKey) {
	return and(
		eq(deployments.integrationId, integrationId),
		sql`md5(${deployments.branch}) = md5(${branch}::text)`,
		eq(deployments.branch, branch),
	);
}
