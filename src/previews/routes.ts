import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { PreviewId, ProjectId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers, cutPage, ListQuery, readPage } from "../http/wire.ts";
import { JobAnswer, toJobWire } from "../jobs/wire.ts";
import { ConnectionsAnswer, toConnectionsWire } from "../projects/wire.ts";
import { createPreview } from "./create-preview.ts";
import { deletePreview } from "./delete-preview.ts";
import { extendPreview } from "./extend-preview.ts";
import { getPreview } from "./get-preview.ts";
import { listPreviews } from "./list-previews.ts";
import type { Preview } from "./preview.ts";
import { readPreviewConnections } from "./read-preview-connections.ts";
import { resetPreview } from "./reset-preview.ts";
import {
	CreatePreviewBody,
	ExtendPreviewBody,
	fromCreateBody,
	fromTtlBody,
	PreviewAndJobAnswer,
	PreviewAnswer,
	PreviewsAnswer,
	toPreviewWire,
} from "./wire.ts";

const tags = ["Preview databases"];
const path = "/v1/preview-databases/:previewID";
const params = Type.Object({ previewID: Type.Unsafe<PreviewId>(Type.String()) });

export function previewRoutes(app: Api, ctx: Context): void {
	collectionRoutes(app, ctx);
	previewRoute(app, ctx);
	actionRoutes(app, ctx);
	connectionRoute(app, ctx);
}

function collectionRoutes(app: Api, ctx: Context): void {
	const collection = "/v1/projects/:projectID/preview-databases";
	const projectParams = Type.Object({ projectID: Type.Unsafe<ProjectId>(Type.String()) });
	app.get(collection, {
		config: { access: { scope: "projects:read", reach: "project" } },
		schema: {
			tags,
			operationId: "listPreviewDatabases",
			params: projectParams,
			querystring: ListQuery,
			response: answers({ 200: PreviewsAnswer }),
		},
		handler: async ({ params: { projectID }, query }) => {
			const page = readPage("pvw", query, null);
			const cut = cutPage(await listPreviews(ctx, { projectId: projectID, page }), page.limit);
			return { preview_databases: cut.rows.map((row) => wireOf(ctx, row)), next_cursor: cut.nextCursor };
		},
	});

	app.post(collection, {
		config: { access: { scope: "projects:write", reach: "project" } },
		schema: {
			tags,
			operationId: "createPreviewDatabase",
			params: projectParams,
			body: CreatePreviewBody,
			response: answers({ 202: PreviewAndJobAnswer }),
		},
		handler: async ({ params: { projectID }, body, principal }, reply) => {
			const input = { ...fromCreateBody(body), projectId: projectID, actor: actorOf(principal) };
			const { preview, job } = await createPreview(ctx, input);
			return reply.code(202).send({ preview: wireOf(ctx, preview), job: toJobWire(job) });
		},
	});
}

function previewRoute(app: Api, ctx: Context): void {
	app.get(path, {
		config: { access: { scope: "projects:read", reach: "project" } },
		schema: { tags, operationId: "getPreviewDatabase", params, response: answers({ 200: PreviewAnswer }) },
		handler: async ({ params: { previewID } }) => ({
			preview: wireOf(ctx, await getPreview(ctx, previewID)),
		}),
	});

	app.delete(path, {
		config: { access: { scope: "projects:write", reach: "project" } },
		schema: { tags, operationId: "deletePreviewDatabase", params, response: answers({ 202: JobAnswer }) },
		handler: async ({ params: { previewID }, principal }, reply) => {
			const job = await deletePreview(ctx, { previewId: previewID, actor: actorOf(principal) });
			return reply.code(202).send({ job: toJobWire(job) });
		},
	});
}

function actionRoutes(app: Api, ctx: Context): void {
	app.post(`${path}/reset`, {
		config: { access: { scope: "projects:write", reach: "project" } },
		schema: {
			tags,
			operationId: "resetPreviewDatabase",
			params,
			body: Type.Object({}, { additionalProperties: false }),
			response: answers({ 202: JobAnswer }),
		},
		handler: async ({ params: { previewID }, principal }, reply) => {
			const job = await resetPreview(ctx, { previewId: previewID, actor: actorOf(principal) });
			return reply.code(202).send({ job: toJobWire(job) });
		},
	});

	app.post(`${path}/extend`, {
		config: { access: { scope: "projects:write", reach: "project" } },
		schema: {
			tags,
			operationId: "extendPreviewDatabase",
			params,
			body: ExtendPreviewBody,
			response: answers({ 200: PreviewAnswer }),
		},
		handler: async ({ params: { previewID }, body, principal }) => {
			const input = { previewId: previewID, ttlHours: fromTtlBody(body), actor: actorOf(principal) };
			return { preview: wireOf(ctx, await extendPreview(ctx, input)) };
		},
	});
}

function connectionRoute(app: Api, ctx: Context): void {
	app.get(`${path}/connections`, {
		config: { access: { scope: "credentials:read", reach: "project" } },
		schema: {
			tags,
			operationId: "getPreviewDatabaseConnections",
			params,
			response: answers({ 200: ConnectionsAnswer }),
		},
		handler: async ({ params: { previewID }, principal }) => {
			const input = { previewId: previewID, actor: actorOf(principal) };
			return { connections: toConnectionsWire(await readPreviewConnections(ctx, input)) };
		},
	});
}

function wireOf(ctx: Context, preview: Preview) {
	return toPreviewWire(preview, ctx.projectDatabases.publicAddress());
}
