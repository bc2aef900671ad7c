import { and, eq, sql } from "drizzle-orm";
import type { IntegrationId } from "../core/ids.ts";
import type { Integration } from "../integrations/integration.ts";
import type { Database } from "../platform/db.ts";
import type { PushedVariable, VariableTarget, WrittenVariable } from "./pushed-variable.ts";
import { pushedVariables } from "./table.ts";

type Owner = Pick<Integration, "id" | "organizationId">;

export function pushedVariableStore({ orm }: Database) {
	return {
		async list(integrationId: IntegrationId): Promise<PushedVariable[]> {
			const rows = await orm
				.select()
				.from(pushedVariables)
				.where(eq(pushedVariables.integrationId, integrationId))
				.orderBy(pushedVariables.key, pushedVariables.branch);
			return rows.map(toDomain);
		},

		/** Notes that these are about to be written, before the platform hears of it. */
		async begin(
			owner: Owner,
			target: VariableTarget,
			variables: readonly Pick<WrittenVariable, "key" | "branch">[],
		): Promise<void> {
			if (variables.length === 0) return;
			const blank = { fingerprint: "", remoteId: "", isBeingWritten: true };
			await orm
				.insert(pushedVariables)
				.values(
					variables.map(({ key, branch }) => ({
						...placeOf(owner, target),
						key,
						branch: branch ?? "",
						...blank,
					})),
				)
				.onConflictDoUpdate({
					target: [
						pushedVariables.integrationId,
						pushedVariables.targetId,
						pushedVariables.key,
						pushedVariables.branch,
					],
					set: { isBeingWritten: true },
				});
		},

		/** Keeps what a push has made of them. */
		async settle(owner: Owner, target: VariableTarget, owned: readonly WrittenVariable[]): Promise<void> {
			if (owned.length === 0) return;
			await orm
				.insert(pushedVariables)
				.values(
					owned.map(({ key, branch, fingerprint, id, version }) => ({
						...placeOf(owner, target),
						key,
						branch: branch ?? "",
						fingerprint,
						remoteId: id,
						version,
						isBeingWritten: false,
						pushedAt: sql`clock_now()`,
					})),
				)
				.onConflictDoUpdate({
					target: [
						pushedVariables.integrationId,
						pushedVariables.targetId,
						pushedVariables.key,
						pushedVariables.branch,
					],
					set: {
						targetTeamId: sql`excluded.target_team_id`,
						fingerprint: sql`excluded.fingerprint`,
						remoteId: sql`excluded.remote_id`,
						version: sql`excluded.version`,
						isBeingWritten: false,
						pushedAt: sql`clock_now()`,
					},
				});
		},

		async remove(integrationId: IntegrationId, variable: PushedVariable): Promise<void> {
			const { key, branch, target } = variable;
			await orm
				.delete(pushedVariables)
				.where(
					and(
						eq(pushedVariables.integrationId, integrationId),
						eq(pushedVariables.targetId, target.id),
						eq(pushedVariables.key, key),
						eq(pushedVariables.branch, branch ?? ""),
					),
				);
		},

		async removeAll(integrationId: IntegrationId): Promise<void> {
			await orm.delete(pushedVariables).where(eq(pushedVariables.integrationId, integrationId));
		},
	};
}

function placeOf({ id, organizationId }: Owner, target: VariableTarget) {
	return { integrationId: id, organizationId, targetId: target.id, targetTeamId: target.teamId };
}

function toDomain(row: typeof pushedVariables.$inferSelect): PushedVariable {
	const { key, branch, fingerprint, version, isBeingWritten } = row;
	const target = { id: row.targetId, teamId: row.targetTeamId };
	return {
		key,
		branch: branch === "" ? null : branch,
		fingerprint,
		id: row.remoteId,
		version,
		isBeingWritten,
		target,
	};
}
