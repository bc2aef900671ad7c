import { eq, sql } from "drizzle-orm";
import { type OrganizationId, toUuid, uuidFloor } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import type { Organization, Usage } from "./organization.ts";
import { organizations } from "./table.ts";

export function organizationStore({ orm }: Database) {
	return {
		async insert(
			values: Pick<Organization, "id" | "name" | "slug" | "clerkOrganizationId">,
		): Promise<Organization> {
			const [row] = await orm.insert(organizations).values(values).returning();
			return row as Organization;
		},

		async find(id: OrganizationId): Promise<Organization | null> {
			const [row] = await orm.select().from(organizations).where(eq(organizations.id, id));
			return row ?? null;
		},

		async findByClerkId(clerkOrganizationId: string): Promise<OrganizationId | null> {
			const [row] = await orm
				.select({ id: organizations.id })
				.from(organizations)
				.where(eq(organizations.clerkOrganizationId, clerkOrganizationId));
			return row?.id ?? null;
		},

		async update(
			id: OrganizationId,
			values: Partial<Pick<Organization, "name" | "slug" | "clerkOrganizationId">>,
		): Promise<Organization | null> {
			const [row] = await orm
				.update(organizations)
				.set({ ...values, updatedAt: sql`clock_now()` })
				.where(eq(organizations.id, id))
				.returning();
			return row ?? null;
		},

		async isAny(): Promise<boolean> {
			const rows = await orm.select({ id: organizations.id }).from(organizations).limit(1);
			return rows.length > 0;
		},

		/** What the organization has, and what it has made since these moments; nothing of that without them. */
		async usage(
			id: OrganizationId,
			since: Record<"events" | "deliveries", { from: Date }> | null,
		): Promise<Usage> {
			const organization = toUuid(id);
			const floor = (table: "events" | "deliveries") => since && uuidFloor(since[table].from);
			const { rows } = await orm.execute<Usage & Record<string, unknown>>(sql`select
				(select count(*)::int from projects
					where organization_id = ${organization} and deleted_at is null) as projects,
				(select count(*)::int from preview_databases
					where organization_id = ${organization} and state <> 'deleting') as "previewDatabases",
				(select count(*)::int from webhook_endpoints where organization_id = ${organization}) as "webhookEndpoints",
				(select count(*)::int from events
					where organization_id = ${organization} and id >= ${floor("events")}) as events,
				(select count(*)::int from deliveries
					where organization_id = ${organization} and id >= ${floor("deliveries")}) as deliveries`);
			return rows[0] as Usage;
		},

		/** Counts what the organization made from one moment until before another. Null when that is more than `countMax`. */
		async countMade(
			table: "events" | "deliveries",
			id: OrganizationId,
			{ from, to, countMax }: { from: Date; to: Date; countMax: number | null },
		): Promise<number | null> {
			const [floor, end] = [uuidFloor(from), uuidFloor(to)];
			const { rows } = await orm.execute<{ count: number }>(sql`select count(*)::int as count from (
				select 1 from ${sql.identifier(table)}
				where organization_id = ${toUuid(id)} and id >= ${floor} and id < ${end}
				limit ${countMax === null ? null : countMax + 1}) made`);
			const count = rows[0]?.count ?? 0;
			return countMax !== null && count > countMax ? null : count;
		},
	};
}
