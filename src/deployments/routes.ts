import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { answers, cutPage, ListQuery, readPage } from "../http/wire.ts";
import { listDeployments } from "./list-deployments.ts";
import { DeploymentsAnswer, toDeploymentWire } from "./wire.ts";

const pageSize = 25;

export function deploymentRoutes(app: Api, ctx: Context): void {
	app.get("/v1/projects/:projectID/deployments", {
		config: { access: { scope: "projects:read", reach: "project" } },
		schema: {
			tags: ["Integrations"],
			operationId: "listDeployments",
			params: Type.Object({ projectID: Type.Unsafe<ProjectId>(Type.String()) }),
			querystring: ListQuery,
			response: answers({ 200: DeploymentsAnswer }),
		},
		handler: async ({ params: { projectID: projectId }, query }) => {
			const page = readPage("dep", query, pageSize);
			const limit = page.limit ?? pageSize;
			const cut = cutPage(await listDeployments(ctx, { projectId, page: { ...page, limit } }), limit);
			return { deployments: cut.rows.map(toDeploymentWire), next_cursor: cut.nextCursor };
		},
	});
}
