import type { Context } from "../context.ts";
import type { AuditEventId, OrganizationId, ProjectId } from "../core/ids.ts";
import type { AuditEvent } from "./store.ts";

/** What was done in an organization or in one project, newest first; one row more than asked for. */
export function listAuditEvents(
	ctx: Pick<Context, "stores">,
	input: {
		of: { organizationId: OrganizationId } | { projectId: ProjectId };
		page: { limit: number; before: AuditEventId | null };
	},
): Promise<AuditEvent[]> {
	return ctx.stores.audit.list(input.of, input.page);
}
