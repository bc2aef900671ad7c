import { type Static, Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { OrganizationId, ProjectId } from "../core/ids.ts";
import { answers, cutPage, ListQuery, readPage } from "../http/wire.ts";
import { listAuditEvents } from "./list-audit-events.ts";
import { AuditEventsWire, toAuditEventWire } from "./wire.ts";

const tags = ["Audit"];
const pageSize = 25;

export function auditRoutes(app: Api, ctx: Context): void {
	const list = async (
		of: { organizationId: OrganizationId } | { projectId: ProjectId },
		query: Static<typeof ListQuery>,
	) => {
		const page = readPage("aud", query, pageSize);
		const limit = page.limit ?? pageSize;
		const cut = cutPage(await listAuditEvents(ctx, { of, page: { ...page, limit } }), limit);
		return { audit_events: cut.rows.map(toAuditEventWire), next_cursor: cut.nextCursor };
	};

	app.get("/v1/organizations/:orgID/audit-events", {
		config: { access: { scope: "organizations:read", reach: "organization" } },
		schema: {
			tags,
			operationId: "listOrganizationAuditEvents",
			params: Type.Object({ orgID: Type.Unsafe<OrganizationId>(Type.String()) }),
			querystring: ListQuery,
			response: answers({ 200: AuditEventsWire }),
		},
		handler: (request) => list({ organizationId: request.params.orgID }, request.query),
	});

	app.get("/v1/projects/:projectID/audit-events", {
		config: { access: { scope: "projects:read", reach: "project" } },
		schema: {
			tags,
			operationId: "listProjectAuditEvents",
			params: Type.Object({ projectID: Type.Unsafe<ProjectId>(Type.String()) }),
			querystring: ListQuery,
			response: answers({ 200: AuditEventsWire }),
		},
		handler: (request) => list({ projectId: request.params.projectID }, request.query),
	});
}
