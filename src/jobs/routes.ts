import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { JobId, ProjectId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers, cutPage, ListQuery, nextCursor, readPage } from "../http/wire.ts";
import { getJob } from "./get-job.ts";
import { listJobs } from "./list-jobs.ts";
import { retryJob } from "./retry-job.ts";
import { JobAnswer, JobWire, toJobWire } from "./wire.ts";

const tags = ["Jobs"];
const pageSize = 25;
const params = Type.Object({ jobID: Type.Unsafe<JobId>(Type.String()) });

export function jobRoutes(app: Api, ctx: Context): void {
	app.get("/v1/projects/:projectID/jobs", {
		config: { access: { scope: "jobs:read", reach: "project" } },
		schema: {
			tags,
			operationId: "listJobs",
			params: Type.Object({ projectID: Type.Unsafe<ProjectId>(Type.String()) }),
			querystring: ListQuery,
			response: answers({ 200: Type.Object({ jobs: Type.Array(JobWire), next_cursor: nextCursor }) }),
		},
		handler: async (request) => {
			const page = readPage("job", request.query, pageSize);
			const limit = page.limit ?? pageSize;
			const jobs = await listJobs(ctx, { projectId: request.params.projectID, page: { ...page, limit } });
			const cut = cutPage(jobs, limit);
			return { jobs: cut.rows.map(toJobWire), next_cursor: cut.nextCursor };
		},
	});

	app.get("/v1/jobs/:jobID", {
		config: { access: { scope: "jobs:read", reach: "project" } },
		schema: {
			tags,
			operationId: "getJob",
			params,
			response: answers({ 200: JobAnswer }),
		},
		handler: async (request) => ({ job: toJobWire(await getJob(ctx, request.params.jobID)) }),
	});

	app.post("/v1/jobs/:jobID/retry", {
		config: { access: { scope: "projects:write", reach: "project" } },
		schema: {
			tags,
			operationId: "retryJob",
			params,
			response: answers({ 202: JobAnswer }),
		},
		handler: async (request, reply) => {
			const job = await retryJob(ctx, { jobId: request.params.jobID, actor: actorOf(request.principal) });
			return reply.code(202).send({ job: toJobWire(job) });
		},
	});
}
