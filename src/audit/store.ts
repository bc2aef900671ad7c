import { and, desc, eq, lt } from "drizzle-orm";
import type { AuditEventId, OrganizationId, ProjectId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import { auditEvents } from "./table.ts";

export type AuditEvent = typeof auditEvents.$inferSelect;

export function auditStore({ orm }: Database) {
	return {
		async insert(events: Omit<AuditEvent, "createdAt">[]): Promise<void> {
			await orm.insert(auditEvents).values(events);
		},

		/** Newest first; one row more than `limit`, to show whether there are more. */
		async list(
			of: { organizationId: OrganizationId } | { projectId: ProjectId },
			page: { limit: number; before: AuditEventId | null },
		): Promise<AuditEvent[]> {
			const owner =
				"projectId" in of
					? eq(auditEvents.projectId, of.projectId)
					: eq(auditEvents.organizationId, of.organizationId);
			return orm
				.select()
				.from(auditEvents)
				.where(and(owner, page.before === null ? undefined : lt(auditEvents.id, page.before)))
				.orderBy(desc(auditEvents.id))
				.limit(page.limit + 1);
		},
	};
}
