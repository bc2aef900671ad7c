import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import { invalid, notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Job } from "../jobs/job.ts";
import { type ExternalCredentials, openExternalCredentials, sealExternalCredentials } from "./credentials.ts";
import { projectDeleting } from "./errors.ts";
import { changedUrls, type External, type GivenUrls, readExternal } from "./external-urls.ts";
import { type Project, projectResource } from "./project.ts";
import type { Repush } from "./rotate-credentials.ts";

type Input = {
	projectId: ProjectId;
	fields: Partial<Pick<Project, "name" | "environment" | "alwaysOn">>;
	urls: GivenUrls;
	actor: Actor;
};

type Parts = Pick<Context, "transaction" | "stores" | "vault" | "databaseGuard">;

/**
 * Changes the given fields. Changed URLs of a bring-your-own database are pushed to every connected platform; a
 * project that had failed or is not ready yet is then checked again by the returned job. Throws a 400 for URLs that
 * will not do, also for those of a project with a database of ours, and a 409 for a project that is being deleted.
 */
export async function updateProject(
	ctx: Parts,
	input: Input,
	repush: Repush,
): Promise<{ project: Project; job: Job | null }> {
	const external = await readChangedUrls(ctx, input);
	return ctx.transaction(async (tx) => {
		const project = await tx.stores.projects.findForUpdate(input.projectId);
		if (!project) throw notFound("project");
		if (project.state === "deleting") throw projectDeleting();
		const updated = await tx.stores.projects.update(project.id, { ...input.fields, ...external?.fields });
		const { organizationId, id: projectId } = project;
		const fields = [...Object.keys(input.fields), ...(external ? ["database_url"] : [])];
		const { actor } = input;
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "project.updated",
			actor,
			metadata: { fields },
		});
		if (external) return adoptUrls(tx, project, external.credentials, repush);
		return { project: updated ?? project, job: null };
	});
}

async function readChangedUrls(ctx: Parts, input: Input): Promise<External | null> {
	const { databaseUrl, directUrl } = input.urls;
	if (databaseUrl === null && directUrl === null) return null;
	const project = await ctx.stores.projects.find(input.projectId);
	if (!project) throw notFound("project");
	if (project.origin === "created") {
		const field = databaseUrl === null ? "direct_url" : "database_url";
		throw invalid(field, `\`${field}\` can be changed only for a project that brings its own Postgres.`);
	}
	const before = openExternalCredentials(ctx.vault, project);
	return readExternal(ctx.databaseGuard, changedUrls(before, input.urls));
}

async function adoptUrls(
	tx: Transaction,
	project: Project,
	credentials: ExternalCredentials,
	repush: Repush,
): Promise<{ project: Project; job: Job | null }> {
	const { organizationId, id: projectId, state } = project;
	const sealed = sealExternalCredentials(tx.vault, projectId, credentials);
	const replaced = (await tx.stores.projects.replaceCredentials(projectId, sealed)) ?? project;
	await repush(tx, projectId);
	if (state === "ready") return { project: replaced, job: null };
	const checking = await tx.stores.projects.update(projectId, { state: "provisioning", lastError: null });
	const lockedResource = projectResource(projectId);
	const job = await enqueueJob(tx, { type: "instance.create", organizationId, projectId, lockedResource });
	return { project: checking ?? replaced, job };
}
