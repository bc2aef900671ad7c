import { and, asc, getTableName, gt, isNotNull, notInArray, type SQL, sql } from "drizzle-orm";
import type { PgColumn, PgTable } from "drizzle-orm/pg-core";
import { integrations } from "../integrations/table.ts";
import { oauthFlows } from "../oauth/table.ts";
import type { Database } from "../platform/db.ts";
import { encryptionKeys } from "../platform/table.ts";
import { previews } from "../previews/table.ts";
import { projects } from "../projects/table.ts";
import { endpointSecrets, webhookEndpoints } from "../webhook-endpoints/table.ts";

/** A value with the key of its row, which it is sealed to. */
export type SealedValue = { row: string; sealed: string };

/** What replaces a value; `was` is what it must still be. */
export type Resealed = SealedValue & { was: string };

type SealedColumn = { table: PgTable; row: PgColumn; column: PgColumn };

/** Every column that holds sealed values. Each is sealed to its row's key and to `<table>.<column>`. */
const sealedColumns = new Map(
	(
		[
			{ table: projects, row: projects.id, column: projects.credentials },
			{ table: previews, row: previews.id, column: previews.credentials },
			{ table: integrations, row: integrations.id, column: integrations.credentials },
			{ table: integrations, row: integrations.id, column: integrations.signingSecrets },
			{ table: webhookEndpoints, row: webhookEndpoints.id, column: webhookEndpoints.secretHeaders },
			{ table: endpointSecrets, row: endpointSecrets.id, column: endpointSecrets.secret },
			{ table: oauthFlows, row: oauthFlows.tokenHash, column: oauthFlows.heldGrant },
		] satisfies SealedColumn[]
	).map((each): [string, SealedColumn] => [`${getTableName(each.table)}.${each.column.name}`, each]),
);

export function sealedStore({ orm, prepared }: Database) {
	const columnOf = (name: string): SealedColumn => {
		const found = sealedColumns.get(name);
		if (!found) throw new Error(`No sealed column ${name}.`);
		return found;
	};
	const keysInUse = async (): Promise<string[]> => {
		const { rows } = await orm.execute<{ id: string }>(usedKeys());
		return rows.map((row) => row.id);
	};
	return {
		/** The columns' names, as `<table>.<column>`. */
		columns: (): string[] => [...sealedColumns.keys()],

		/** Values of a column under another key than that, in the order of their rows, from the one after `after`. */
		async listOthers(
			name: string,
			page: { keyId: string; after: string | null; limit: number },
		): Promise<SealedValue[]> {
			const { table, row, column } = columnOf(name);
			const rows = await orm
				.select({ row, sealed: column })
				.from(table)
				.where(
					and(
						isNotNull(column),
						sql`${keyIdOf(column)} <> ${page.keyId}`,
						page.after === null ? undefined : gt(row, page.after),
					),
				)
				.orderBy(asc(row))
				.limit(page.limit);
			return rows as SealedValue[];
		},

		/** Replaces values that are still what they were; returns how many. */
		async replace(name: string, values: readonly Resealed[]): Promise<number> {
			const { table, row, column } = columnOf(name);
			const rows = await prepared(
				`reseal ${name}`,
				`update "${getTableName(table)}" t set "${column.name}" = v.sealed
				from unnest($1::${row.getSQLType()}[], $2::text[], $3::text[]) as v(row, was, sealed)
				where t."${row.name}" = v.row and t."${column.name}" = v.was returning 1`,
				[
					values.map((value) => row.mapToDriverValue(value.row)),
					values.map(({ was }) => was),
					values.map(({ sealed }) => sealed),
				],
			);
			return rows.length;
		},

		/** Ids of the keys that values are sealed with. */
		keysInUse,

		/**
		 * Strikes the keys off that no value is sealed with, apart from that one: servers start without them. Returns
		 * their ids.
		 */
		async forgetUnusedKeys(except: string): Promise<string[]> {
			const kept = [except, ...(await keysInUse())];
			const rows = await orm
				.delete(encryptionKeys)
				.where(notInArray(encryptionKeys.id, kept))
				.returning({ id: encryptionKeys.id });
			return rows.map((row) => row.id);
		},
	};
}

/** The vault writes it as the second part of what it seals. */
function keyIdOf(column: PgColumn): SQL {
	return sql`split_part(${column}, '.', 2)`;
}

function usedKeys(): SQL {
	const parts = [...sealedColumns.values()].map(
		({ table, column }) => sql`select ${keyIdOf(column)} as id from ${table} where ${column} is not null`,
	);
	return sql`${sql.join(parts, sql` union `)} order by id`;
}
