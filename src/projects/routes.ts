import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers, cutPage, readPage } from "../http/wire.ts";
import { JobAnswer, toJobWire } from "../jobs/wire.ts";
import { chooseOrganization, organizationFilter } from "./choose-organization.ts";
import { createProject } from "./create-project.ts";
import { deleteProject } from "./delete-project.ts";
import { getProject } from "./get-project.ts";
import { listProjects } from "./list-projects.ts";
import { readConnections } from "./read-connections.ts";
import { requestRotation } from "./request-rotation.ts";
import type { Repush } from "./rotate-credentials.ts";
import { updateProject } from "./update-project.ts";
import {
	ConnectionsAnswer,
	CreateProjectBody,
	fromCreateBody,
	fromUpdateBody,
	ListProjectsQuery,
	ProjectAndJobAnswer,
	ProjectAnswer,
	ProjectsAnswer,
	RegionsAnswer,
	RotateCredentialsBody,
	toConnectionsWire,
	toProjectWire,
	UpdatedProjectAnswer,
	UpdateProjectBody,
} from "./wire.ts";

const tags = ["Projects"];
const params = Type.Object({ projectID: Type.Unsafe<ProjectId>(Type.String()) });

type Hooks = {
	/** What follows on changed URLs of a bring-your-own database. */
	repush: Repush;
};

export function projectRoutes(app: Api, ctx: Context, hooks: Hooks): void {
	collectionRoutes(app, ctx);
	projectRoute(app, ctx, hooks);
	credentialRoutes(app, ctx);
	regionRoute(app);
}

function collectionRoutes(app: Api, ctx: Context): void {
	app.get("/v1/projects", {
		config: { access: { scope: "projects:read", reach: "caller" } },
		schema: {
			tags,
			operationId: "listProjects",
			querystring: ListProjectsQuery,
			response: answers({ 200: ProjectsAnswer }),
		},
		handler: async ({ query, principal }) => {
			const page = readPage("prj", query, null);
			const organizationId = organizationFilter(principal, query.organization_id ?? null);
			const projectId = principal.kind === "api_key" ? principal.projectId : null;
			const projects = await listProjects(ctx, { of: { organizationId, projectId }, page });
			const cut = cutPage(projects, page.limit);
			return { projects: cut.rows.map(toProjectWire), next_cursor: cut.nextCursor };
		},
	});

	app.post("/v1/projects", {
		config: { access: { scope: "projects:write", reach: "organization", organizationAdminOnly: true } },
		schema: {
			tags,
			operationId: "createProject",
			body: CreateProjectBody,
			response: answers({ 201: ProjectAndJobAnswer }),
		},
		handler: async ({ body, principal }, reply) => {
			const input = fromCreateBody(body);
			const organizationId = chooseOrganization(principal, input.organizationId);
			const made = await createProject(ctx, { ...input, organizationId, actor: actorOf(principal) });
			return reply.code(201).send({ project: toProjectWire(made.project), job: toJobWire(made.job) });
		},
	});
}

function projectRoute(app: Api, ctx: Context, { repush }: Hooks): void {
	const path = "/v1/projects/:projectID";
	app.get(path, {
		config: { access: { scope: "projects:read", reach: "project" } },
		schema: { tags, operationId: "getProject", params, response: answers({ 200: ProjectAnswer }) },
		handler: async ({ params: { projectID } }) => ({
			project: toProjectWire(await getProject(ctx, projectID)),
		}),
	});

	app.patch(path, {
		config: { access: { scope: "projects:write", reach: "project" } },
		schema: {
			tags,
			operationId: "updateProject",
			params,
			body: UpdateProjectBody,
			response: answers({ 200: UpdatedProjectAnswer }),
		},
		handler: async ({ params: { projectID }, body, principal }) => {
			const input = { ...fromUpdateBody(body), projectId: projectID, actor: actorOf(principal) };
			const { project, job } = await updateProject(ctx, input, repush);
			return { project: toProjectWire(project), job: job && toJobWire(job) };
		},
	});

	app.delete(path, {
		config: { access: { scope: "projects:write", reach: "project", organizationAdminOnly: true } },
		schema: { tags, operationId: "deleteProject", params, response: answers({ 202: JobAnswer }) },
		handler: async ({ params: { projectID }, principal }, reply) => {
			const job = await deleteProject(ctx, { projectId: projectID, actor: actorOf(principal) });
			return reply.code(202).send({ job: toJobWire(job) });
		},
	});
}

function credentialRoutes(app: Api, ctx: Context): void {
	app.get("/v1/projects/:projectID/connections", {
		config: { access: { scope: "credentials:read", reach: "project" } },
		schema: {
			tags,
			operationId: "getProjectConnections",
			params,
			response: answers({ 200: ConnectionsAnswer }),
		},
		handler: async ({ params: { projectID }, principal }) => {
			const input = { projectId: projectID, actor: actorOf(principal) };
			return { connections: toConnectionsWire(await readConnections(ctx, input)) };
		},
	});

	app.post("/v1/projects/:projectID/credentials/rotate", {
		config: { access: { scope: "projects:write", reach: "project" } },
		schema: {
			tags,
			operationId: "rotateProjectCredentials",
			params,
			body: RotateCredentialsBody,
			response: answers({ 202: JobAnswer }),
		},
		handler: async ({ params: { projectID }, body, principal }, reply) => {
			const input = { projectId: projectID, graceHours: body.grace_hours ?? 0, actor: actorOf(principal) };
			return reply.code(202).send({ job: toJobWire(await requestRotation(ctx, input)) });
		},
	});
}

function regionRoute(app: Api): void {
	const details = {
		id: "self-hosted",
		display_name: "Self-hosted",
		location: "This server's project cluster",
	};
	app.get("/v1/regions", {
		config: { access: { scope: null, reach: "caller" } },
		schema: { tags, operationId: "listRegions", response: answers({ 200: RegionsAnswer }) },
		handler: async () => ({ regions: [details.id], region_details: [details] }),
	});
}
