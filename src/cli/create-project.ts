import type { OrganizationId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { requireBody } from "../http/schemas.ts";
import { toJobWire } from "../jobs/wire.ts";
import { createProject } from "../projects/create-project.ts";
import { CreateProjectBody, fromCreateBody, toProjectWire } from "../projects/wire.ts";
import { type Command, given } from "./command.ts";
import { locate, withContext } from "./open-context.ts";

export const createProjectCommand: Command = {
	summary: "makes a project, with a database of its own or with one that is there",
	details: "The database is made, or checked, by the job that it prints: a running server does that.",
	options: {
		organization: { value: "org_…", help: "whose it is", isRequired: true },
		name: { value: "name", help: "its name", isRequired: true },
		slug: { value: "slug", help: "default: made from the name" },
		environment: { value: "word", help: "production (default) or non_production" },
		"database-url": { value: "url", help: "of a Postgres that is there", isSecret: true },
		"direct-url": { value: "url", help: "past its pooler", isSecret: true },
	},
	run: (options, surroundings) =>
		withContext(surroundings, async (ctx) => {
			const { organizationId } = await locate(ctx, "orgID", options.required("organization"));
			const body = requireBody(
				CreateProjectBody,
				given({
					organization_id: organizationId as OrganizationId,
					name: options.text("name"),
					slug: options.text("slug"),
					environment: options.text("environment"),
					database_url: options.text("database-url"),
					direct_url: options.text("direct-url"),
				}),
			);
			const actor = actorOf({ kind: "admin" });
			const { project, job } = await createProject(ctx, { ...fromCreateBody(body), organizationId, actor });
			return {
				text: `Made the project ${project.id} (${project.slug}); job ${job.id} gets its database ready.`,
				json: { project: toProjectWire(project), job: toJobWire(job) },
			};
		}),
};
