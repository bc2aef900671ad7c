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

		/** Counts from the first of the month, by ranges of ids. */
		async usage(id: OrganizationId, monthStart: Date): Promise<Usage> {
			const organization = toUuid(id);
			const floor = uuidFloor(monthStart);
			const { rows } = await orm.execute<Usage & Record<string, unknown>>(sql`select
				(select count(*)::int from projects
					where organization_id = ${organization} and deleted_at is null) as projects,
				(select count(*)::int from preview_databases
					where organization_id = ${organization} and state <> 'deleting') as "previewDatabases",
				(select count(*)::int from webhook_endpoints where organization_id = ${organization}) as "webhookEndpoints",
				(select count(*)::int from events where organization_id = ${organization} and id >= ${floor}) as events,
				(select count(*)::int from deliveries
					where organization_id = ${organization} and id >= ${floor}) as deliveries`);
			return rows[0] as Usage;
		},
	};
}
