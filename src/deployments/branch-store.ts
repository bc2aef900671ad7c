import { and, eq, sql } from "drizzle-orm";
import { fromUuid, type IntegrationId, type PreviewId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
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
		 * stand under another prefix; after a failure only once the integration was connected, or changed, anew.
		 */
		async listBehind(limit: number): Promise<Branch[]> {
			const { rows } = await orm.execute<{ integration_id: string; branch: string }>(sql`
				select b.integration_id, b.branch from deployment_branches b
				join integrations i on i.id = b.integration_id and i.state = 'active' and i.deleted_at is null
				left join preview_databases p on p.id = b.preview_database_id
				where (b.preview_database_id is null
						or (p.state = 'ready' and (b.preview_database_id is distinct from b.pushed_preview_id
							or (b.pushed_to::jsonb ->> 0 = i.external_id
								and b.pushed_to::jsonb ->> 1 <> coalesce(i.config ->> 'envPrefix', '')))))
					and (b.failed_at is null or b.failed_at < i.updated_at)
				limit ${limit}`);
			const found: (Branch | null)[] = [];
			for (const { integration_id, branch } of rows) {
				found.push(
					await this.find({ integrationId: fromUuid("int", integration_id) as IntegrationId, branch }),
				);
			}
			return found.filter((branch) => branch !== null);
		},
	};
}
