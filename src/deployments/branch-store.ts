import { and, eq, isNull, lt, or, sql } from "drizzle-orm";
import type { PreviewId } from "../core/ids.ts";
import { integrations } from "../integrations/table.ts";
import type { Database } from "../platform/db.ts";
import { previews } from "../previews/table.ts";
import type { Branch } from "./branch.ts";
import { deploymentBranches } from "./table.ts";

type Key = Pick<Branch, "integrationId" | "branch">;

export function branchStore({ orm }: Database) {
	const touched = { updatedAt: sql`clock_now()` };
	const unfailed = { lastError: null, failedAt: null };
	const at = ({ integrationId, branch }: Key) =>
		and(eq(deploymentBranches.integrationId, integrationId), eq(deploymentBranches.branch, branch));
	return {
		/** Says which database a branch has from now on. */
		async aim(
			branch: Key & Pick<Branch, "organizationId" | "projectId"> & { previewDatabaseId: PreviewId },
		): Promise<Branch> {
			const { previewDatabaseId } = branch;
			const [row] = await orm
				.insert(deploymentBranches)
				.values(branch)
				.onConflictDoUpdate({
					target: [deploymentBranches.integrationId, deploymentBranches.branch],
					set: { previewDatabaseId, ...unfailed, ...touched },
				})
				.returning();
			return row as Branch;
		},

		async find(key: Key): Promise<Branch | null> {
			const [row] = await orm.select().from(deploymentBranches).where(at(key));
			return row ?? null;
		},

		/** Those whose database this is. */
		async listOfPreview(previewId: PreviewId): Promise<Branch[]> {
			return orm
				.select()
				.from(deploymentBranches)
				.where(eq(deploymentBranches.previewDatabaseId, previewId))
				.orderBy(deploymentBranches.integrationId, deploymentBranches.branch);
		},

		/** Takes a database that is gone away from its branches. */
		async releasePreview(previewId: PreviewId): Promise<Branch[]> {
			return orm
				.update(deploymentBranches)
				.set({ previewDatabaseId: null, ...unfailed, ...touched })
				.where(eq(deploymentBranches.previewDatabaseId, previewId))
				.returning();
		},

		async markPushed(key: Key, pushed: { previewId: PreviewId; to: string }): Promise<void> {
			const { previewId: pushedPreviewId, to: pushedTo } = pushed;
			await orm
				.update(deploymentBranches)
				.set({ pushedPreviewId, pushedTo, pushedAt: sql`clock_now()`, ...unfailed, ...touched })
				.where(at(key));
		},

		async markRedeployed(key: Key, previewId: PreviewId): Promise<void> {
			await orm
				.update(deploymentBranches)
				.set({ redeployedPreviewId: previewId, ...touched })
				.where(at(key));
		},

		async markFailed(key: Key, sentence: string): Promise<void> {
			await orm
				.update(deploymentBranches)
				.set({ lastError: sentence, failedAt: sql`clock_now()`, ...touched })
				.where(at(key));
		},

		/** Forgets a branch that has no database; one that has got a new one meanwhile stays. */
		async removeReleased(key: Key): Promise<void> {
			await orm
				.delete(deploymentBranches)
				.where(and(at(key), sql`${deploymentBranches.previewDatabaseId} is null`));
		},

		/** Forgets the branches of integrations that are no more. */
		async removeOrphans(): Promise<void> {
			await orm.execute(sql`delete from deployment_branches b
				where not exists (select from integrations i where i.id = b.integration_id)`);
		},

		/**
		 * Branches of active integrations whose variables do not name what they shall, though it is there, or gone, or
		 * stand under another prefix; after a failure only once the integration was connected, or changed, anew. Those come
		 * first that have not changed for longest.
		 */
		async listBehind(limit: number): Promise<Branch[]> {
			const { integrationId, branch, previewDatabaseId, pushedPreviewId, pushedTo, failedAt, updatedAt } =
				deploymentBranches;
			const isInUse = and(eq(integrations.state, "active"), isNull(integrations.deletedAt));
			const isElsewhere = sql`(${pushedTo}::jsonb ->> 0 = ${integrations.externalId}
				and ${pushedTo}::jsonb ->> 1 <> coalesce(${integrations.config} ->> 'envPrefix', ''))`;
			const isUnnamed = sql`${previewDatabaseId} is distinct from ${pushedPreviewId}`;
			const rows = await orm
				.select({ branch: deploymentBranches })
				.from(deploymentBranches)
				.innerJoin(integrations, and(eq(integrations.id, integrationId), isInUse))
				.leftJoin(previews, eq(previews.id, previewDatabaseId))
				.where(
					and(
						or(isNull(previewDatabaseId), and(eq(previews.state, "ready"), or(isUnnamed, isElsewhere))),
						or(isNull(failedAt), lt(failedAt, integrations.updatedAt)),
					),
				)
				.orderBy(updatedAt, integrationId, branch)
				.limit(limit);
			return rows.map((row) => row.branch);
		},
	};
}
