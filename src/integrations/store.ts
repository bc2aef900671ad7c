import { and, asc, desc, eq, gt, inArray, isNotNull, isNull, lt, sql } from "drizzle-orm";
import { createBatcher } from "../core/batcher.ts";
import type { IntegrationId, ProjectId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import type { Integration, IntegrationStatus } from "./integration.ts";
import { inboundRejections, integrations } from "./table.ts";

export type IntegrationChanges = Partial<
	Pick<Integration, "state" | "externalId" | "config" | "credentials" | "signingSecrets" | "hook">
>;

export type StatusChange = { set?: IntegrationStatus; drop?: (keyof IntegrationStatus)[] };

/** `version` names the state of the row: each change but that of `status` makes another. */
type WebhookIntegration = { integration: Integration; version: string };

export function integrationStore({ orm }: Database) {
	const living = isNull(integrations.deletedAt);
	// Never the same twice, so that it tells one state of the row from another. The column holds milliseconds.
	const touched = {
		updatedAt: sql`greatest(clock_now(), ${integrations.updatedAt} + interval '1 millisecond')`,
	};
	return {
		/** Also one that was deleted and still waits for its cleaning up. */
		async find(id: IntegrationId): Promise<Integration | null> {
			const [row] = await orm.select().from(integrations).where(eq(integrations.id, id));
			return row ?? null;
		},

		/** The same, locked until the transaction ends. */
		async findForUpdate(id: IntegrationId): Promise<Integration | null> {
			const [row] = await orm.select().from(integrations).where(eq(integrations.id, id)).for("update");
			return row ?? null;
		},

		async findByProvider(projectId: ProjectId, provider: string): Promise<Integration | null> {
			const [row] = await orm
				.select()
				.from(integrations)
				.where(and(eq(integrations.projectId, projectId), eq(integrations.provider, provider), living));
			return row ?? null;
		},

		/** The same as `findByProvider`; what is asked for at the same time goes into one statement. */
		findForWebhook: createBatcher<Pick<Integration, "projectId" | "provider">, WebhookIntegration | null>({
			run: async (keys) => {
				const projectIds = [...new Set(keys.map(({ projectId }) => projectId))];
				const rows = await orm
					.select({ integration: integrations, version: sql<string>`${integrations.updatedAt}::text` })
					.from(integrations)
					.where(and(inArray(integrations.projectId, projectIds), living));
				const found = new Map(
					rows.map((row) => [`${row.integration.projectId} ${row.integration.provider}`, row]),
				);
				return keys.map(({ projectId, provider }) => found.get(`${projectId} ${provider}`) ?? null);
			},
			itemsMax: 200,
			// As long as callers wait for a connection.
			waitMaxMs: 5_000,
		}),

		/** Newest first. With a limit, one row more than that, to show whether there are more. */
		async list(
			projectId: ProjectId,
			page: { limit: number | null; before: IntegrationId | null },
		): Promise<Integration[]> {
			const before = page.before === null ? undefined : lt(integrations.id, page.before);
			const rows = orm
				.select()
				.from(integrations)
				.where(and(eq(integrations.projectId, projectId), living, before))
				.orderBy(desc(integrations.id));
			return page.limit === null ? rows : rows.limit(page.limit + 1);
		},

		/** The project's integration with this provider, made `pending` when there is none; locked. */
		async claim(
			fresh: Pick<Integration, "id" | "organizationId" | "projectId" | "provider">,
		): Promise<{ integration: Integration; isNew: boolean }> {
			const inserted = await orm
				.insert(integrations)
				.values({ ...fresh, state: "pending" })
				.onConflictDoNothing({ target: [integrations.projectId, integrations.provider], where: living })
				.returning();
			if (inserted[0]) return { integration: inserted[0], isNew: true };
			const [integration] = await orm
				.select()
				.from(integrations)
				.where(
					and(eq(integrations.projectId, fresh.projectId), eq(integrations.provider, fresh.provider), living),
				)
				.for("update");
			if (!integration) throw new Error("An integration was deleted while it was being connected.");
			return { integration, isNew: false };
		},

		async update(
			id: IntegrationId,
			values: IntegrationChanges,
			status: StatusChange = {},
		): Promise<Integration> {
			const [row] = await orm
				.update(integrations)
				.set({ ...values, status: changed(status), ...touched })
				.where(eq(integrations.id, id))
				.returning();
			if (!row) throw new Error(`There is no integration ${id}.`);
			return row;
		},

		/** Puts renewed credentials in the place of those in `integration`; false when others are there meanwhile. */
		async renewCredentials(
			{ id, credentials }: Pick<Integration, "id" | "credentials">,
			renewed: string,
		): Promise<boolean> {
			const isSame = eq(integrations.credentials, credentials ?? "");
			const changed = await orm
				.update(integrations)
				.set({ credentials: renewed })
				.where(and(eq(integrations.id, id), isSame))
				.returning({ id: integrations.id });
			return changed.length > 0;
		},

		/** Changes what is reported, beside what others change at the same time; not a change by the user. */
		async report(id: IntegrationId, status: StatusChange): Promise<void> {
			await orm
				.update(integrations)
				.set({ status: changed(status) })
				.where(eq(integrations.id, id));
		},

		/** Unless the user has named one meanwhile, or the credentials were replaced by another instance's. */
		async rememberInstance({ id, credentials }: Integration, instance: string): Promise<void> {
			const isAsAsked = and(eq(integrations.id, id), eq(integrations.credentials, credentials ?? ""));
			await orm
				.update(integrations)
				.set({ externalId: instance, ...touched })
				.where(and(isAsAsked, isNull(integrations.externalId)));
		},

		async countChanges(
			id: IntegrationId,
			key: "heldChanges" | "refusedChanges",
			more: number,
		): Promise<void> {
			const count = sql`coalesce((${integrations.status} ->> ${key})::int, 0) + ${more}::int`;
			await orm
				.update(integrations)
				.set({ status: sql`${integrations.status} || jsonb_build_object(${key}::text, ${count})` })
				.where(eq(integrations.id, id));
		},

		/** Those of a project that have had something pushed, or are to have it; locked. */
		async listPushedForUpdate(projectId: ProjectId, providers: readonly string[]): Promise<Integration[]> {
			if (providers.length === 0) return [];
			return orm
				.select()
				.from(integrations)
				.where(
					and(
						eq(integrations.projectId, projectId),
						inArray(integrations.provider, [...providers]),
						inArray(integrations.state, ["active", "error"]),
						living,
					),
				)
				.orderBy(integrations.id)
				.for("update");
		},

		/** Platforms in use that were reconciled that long ago or never. */
		async listUnreconciled(
			providers: readonly string[],
			seconds: number,
			limit: number,
		): Promise<IntegrationId[]> {
			if (providers.length === 0) return [];
			const rows = await orm
				.select({ id: integrations.id })
				.from(integrations)
				.where(
					and(
						inArray(integrations.provider, [...providers]),
						inArray(integrations.state, ["active", "error"]),
						sql`coalesce((${integrations.status} ->> 'reconciledAt')::timestamptz, ${integrations.createdAt})
							< clock_now() - ${seconds}::int * interval '1 second'`,
						living,
					),
				)
				.limit(limit);
			return rows.map((row) => row.id);
		},

		/** Takes one out of the API. Null when there is none. */
		async markDeleted(projectId: ProjectId, provider: string): Promise<Integration | null> {
			const [row] = await orm
				.update(integrations)
				.set({ deletedAt: sql`clock_now()`, ...touched })
				.where(and(eq(integrations.projectId, projectId), eq(integrations.provider, provider), living))
				.returning();
			return row ?? null;
		},

		async markAllDeleted(projectId: ProjectId): Promise<Integration[]> {
			return orm
				.update(integrations)
				.set({ deletedAt: sql`clock_now()`, ...touched })
				.where(and(eq(integrations.projectId, projectId), living))
				.returning();
		},

		/** Disconnected, and for that long neither cleaned up nor tried again. */
		async listUncleaned(seconds: number, limit: number): Promise<IntegrationId[]> {
			const isOld = sql`${integrations.updatedAt} < clock_now() - ${seconds}::int * interval '1 second'`;
			const rows = await orm
				.select({ id: integrations.id })
				.from(integrations)
				.where(and(isNotNull(integrations.deletedAt), isOld))
				.limit(limit);
			return rows.map((row) => row.id);
		},

		/** Removes the row with all its secrets. */
		async remove(id: IntegrationId): Promise<void> {
			await orm.delete(inboundRejections).where(eq(inboundRejections.integrationId, id));
			await orm.delete(integrations).where(eq(integrations.id, id));
		},

		/** Integrations that are not usable yet and whose `capydb_auth` was never seen. */
		async listWithoutSchema(providers: readonly string[], limit: number): Promise<IntegrationId[]> {
			if (providers.length === 0) return [];
			const rows = await orm
				.select({ id: integrations.id })
				.from(integrations)
				.where(
					and(
						eq(integrations.state, "pending"),
						inArray(integrations.provider, [...providers]),
						sql`not ${integrations.status} ? 'schemaReadyAt'`,
						living,
					),
				)
				.limit(limit);
			return rows.map((row) => row.id);
		},

		/** Integrations that are at work and were not reconciled for so many hours, in the order of their ids. */
		async listReconcilable(
			providers: readonly string[],
			page: { restHours: number; after: IntegrationId | null; limit: number },
		): Promise<IntegrationId[]> {
			if (providers.length === 0) return [];
			const after = page.after === null ? undefined : gt(integrations.id, page.after);
			const rows = await orm
				.select({ id: integrations.id })
				.from(integrations)
				.where(and(isReconcilable(providers, page.restHours), after))
				.orderBy(asc(integrations.id))
				.limit(page.limit);
			return rows.map((row) => row.id);
		},

		/** One of these, locked; null when it is none of them any more. */
		async findReconcilableForUpdate(
			providers: readonly string[],
			{ restHours, id }: { restHours: number; id: IntegrationId },
		): Promise<Integration | null> {
			const [row] = await orm
				.select()
				.from(integrations)
				.where(and(isReconcilable(providers, restHours), eq(integrations.id, id)))
				.for("update");
			return row ?? null;
		},
	};
}

function isReconcilable(providers: readonly string[], restHours: number) {
	const queuedAt = sql`(${integrations.status} ->> 'reconcileQueuedAt')::timestamptz`;
	return and(
		isNull(integrations.deletedAt),
		inArray(integrations.state, ["active", "error"]),
		isNotNull(integrations.credentials),
		inArray(integrations.provider, [...providers]),
		sql`coalesce(${queuedAt} < clock_now() - ${restHours}::float8 * interval '1 hour', true)`,
	);
}

function changed({ set = {}, drop = [] }: StatusChange) {
	return sql`(${integrations.status} - ${sql.param(drop)}::text[]) || ${JSON.stringify(set)}::jsonb`;
}
