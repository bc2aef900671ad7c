import { and, count, desc, eq, gt, isNull, lt, or, sql } from "drizzle-orm";
import { createBatcher } from "../core/batcher.ts";
import { type ApiKeyId, fromUuid, type OrganizationId } from "../core/ids.ts";
import type { Principal, Scope } from "../core/principal.ts";
import type { Database } from "../platform/db.ts";
import { holdName } from "../platform/named-lock.ts";
import type { ApiKey } from "./api-key.ts";
import { apiKeys } from "./table.ts";

export type NewApiKey = Omit<ApiKey, "lastUsedAt" | "revokedAt" | "createdAt"> & { keyHash: Buffer };

/** A key in force, as authentication needs it. */
export type KnownKey = { principal: Principal & { kind: "api_key" }; isUseStale: boolean };

type KnownRow = {
	/** Its place among those asked for, from 1. */
	at: string;
	id: string;
	organization_id: string;
	project_id: string | null;
	scopes: Scope[];
	is_use_stale: boolean;
};

export function apiKeyStore({ orm, prepared }: Database) {
	return {
		async insert(key: NewApiKey): Promise<ApiKey> {
			const [row] = await orm.insert(apiKeys).values(key).returning();
			return row as ApiKey;
		},

		async find(id: ApiKeyId): Promise<ApiKey | null> {
			const [row] = await orm.select().from(apiKeys).where(eq(apiKeys.id, id));
			return row ?? null;
		},

		/** Counts those in force with others shut out until the transaction ends, so that a limit holds. */
		async countLiveExclusively(organizationId: OrganizationId): Promise<number> {
			await holdName({ orm }, `api_keys:${organizationId}`);
			const isUnended = or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, sql`clock_now()`));
			const [row] = await orm
				.select({ count: count() })
				.from(apiKeys)
				.where(and(eq(apiKeys.organizationId, organizationId), isNull(apiKeys.revokedAt), isUnended));
			return row?.count ?? 0;
		},

		/** Newest first, revoked ones too. With a limit, one row more than that, to show whether there are more. */
		async list(
			organizationId: OrganizationId,
			page: { limit: number | null; before: ApiKeyId | null },
		): Promise<ApiKey[]> {
			const rows = orm
				.select()
				.from(apiKeys)
				.where(
					and(
						eq(apiKeys.organizationId, organizationId),
						page.before === null ? undefined : lt(apiKeys.id, page.before),
					),
				)
				.orderBy(desc(apiKeys.id));
			return page.limit === null ? rows : rows.limit(page.limit + 1);
		},

		/** Null when there is no such key or it was revoked before. */
		async revoke(id: ApiKeyId): Promise<ApiKey | null> {
			const [row] = await orm
				.update(apiKeys)
				.set({ revokedAt: sql`clock_now()` })
				.where(and(eq(apiKeys.id, id), isNull(apiKeys.revokedAt)))
				.returning();
			return row ?? null;
		},

		/**
		 * The key with this hash, unless it is revoked or expired. On the way of every request: what is asked for at
		 * the same time goes into one statement.
		 */
		findKnown: createBatcher<Buffer, KnownKey | null>({
			run: async (hashes) => {
				const rows = await prepared<KnownRow>("find_api_keys", findKnownSql, [hashes]);
				const found = new Map(rows.map((row) => [Number(row.at), toKnownKey(row)]));
				return hashes.map((_, at) => found.get(at + 1) ?? null);
			},
			itemsMax: 200,
			// As long as callers wait for a connection.
			waitMaxMs: 5_000,
		}),

		/** Writes down that the key was used, at most once a minute. */
		async touch(id: ApiKeyId): Promise<void> {
			const isStale = sql`(${apiKeys.lastUsedAt} is null or ${apiKeys.lastUsedAt} <= clock_now() - interval '1 minute')`;
			await orm
				.update(apiKeys)
				.set({ lastUsedAt: sql`clock_now()` })
				.where(and(eq(apiKeys.id, id), isStale));
		},
	};
}

const findKnownSql = `
select given.at, id, organization_id, project_id, scopes,
	last_used_at is null or last_used_at <= clock_now() - interval '1 minute' as is_use_stale
from unnest($1::bytea[]) with ordinality as given(key_hash, at)
join api_keys k on k.key_hash = given.key_hash
where revoked_at is null and (expires_at is null or expires_at > clock_now())`;

function toKnownKey(row: KnownRow): KnownKey {
	return {
		principal: {
			kind: "api_key",
			keyId: fromUuid("key", row.id),
			organizationId: fromUuid("org", row.organization_id),
			projectId: row.project_id === null ? null : fromUuid("prj", row.project_id),
			scopes: row.scopes,
		},
		isUseStale: row.is_use_stale,
	};
}
