import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import { invalid, notFound } from "../core/errors.ts";
import { newId, type OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { slugify } from "../core/slug.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Job } from "../jobs/job.ts";
import { brokenConstraint } from "../platform/db-errors.ts";
import { ProjectDatabaseError } from "../platform/project-db-errors.ts";
import { clusterMajor, connectionsMax } from "./cluster-database.ts";
import { newPassword, sealCreatedCredentials, sealExternalCredentials } from "./credentials.ts";
import { clusterUnavailable, projectLimitReached, slugTaken } from "./errors.ts";
import { type External, type GivenUrls, newUrls, readExternal } from "./external-urls.ts";
import { type Project, projectResource } from "./project.ts";

type Input = {
	organizationId: OrganizationId;
	name: string;
	slug: string | null;
	environment: Project["environment"];
	postgresVersion: number | null;
	urls: GivenUrls;
	actor: Actor;
};

type Parts = Pick<Context, "transaction" | "stores" | "databaseGuard" | "projectDatabases">;

const projectsMax = 1_000;

/**
 * Makes a project and queues `instance.create`, which makes or checks its database. Throws a 400 for URLs or a
 * version that will not do, a 404 for an unknown organization, a 409 for a taken slug or when there are 1,000, and a
 * 503 for a version that no cluster is there to be asked about.
 */
export async function createProject(ctx: Parts, input: Input): Promise<{ project: Project; job: Job }> {
	if (!(await ctx.stores.organizations.find(input.organizationId))) throw notFound("organization");
	const urls = newUrls(input.urls);
	const external = urls === null ? null : await readExternal(ctx.databaseGuard, urls);
	if (input.postgresVersion !== null && external === null) await checkVersion(ctx, input.postgresVersion);
	const address = ctx.projectDatabases.publicAddress();
	try {
		return await ctx.transaction((tx) => addProject(tx, { ...input, external, address }));
	} catch (error) {
		throw brokenConstraint(error) === "projects_organization_slug_key" ? slugTaken() : error;
	}
}

type Addition = Omit<Input, "urls" | "postgresVersion"> & {
	external: External | null;
	address: ReturnType<Context["projectDatabases"]["publicAddress"]>;
};

/** The part of `createProject` that is one transaction. */
export async function addProject(tx: Transaction, input: Addition): Promise<{ project: Project; job: Job }> {
	const { organizationId, actor, name, environment } = input;
	if ((await tx.stores.projects.countExclusively(organizationId)) >= projectsMax) {
		throw projectLimitReached(projectsMax);
	}
	const id = newId("prj");
	const project = await tx.stores.projects.insert({
		id,
		organizationId,
		name,
		slug: input.slug ?? `${slugify(name, 48)}-${id.slice(-6)}`,
		environment,
		...(input.external === null ? createdPart(tx, id, input.address) : externalPart(tx, id, input.external)),
	});
	const job = await enqueueJob(tx, {
		type: "instance.create",
		organizationId,
		projectId: id,
		lockedResource: projectResource(id),
	});
	const metadata = { origin: project.origin, job_id: job.id };
	await recordAudit(tx, { organizationId, projectId: id, action: "project.created", actor, metadata });
	return { project, job };
}

function createdPart(tx: Transaction, id: Project["id"], address: Addition["address"]) {
	return {
		origin: "created",
		databaseName: id,
		roleName: id,
		credentials: sealCreatedCredentials(tx.vault, id, { password: newPassword(), nextPassword: null }),
		publicHost: address.host,
		directPort: address.directPort,
		pooledPort: address.pooledPort,
		sslMode: address.sslMode,
		maxConnections: connectionsMax,
	} as const;
}

function externalPart(tx: Transaction, id: Project["id"], external: External) {
	const credentials = sealExternalCredentials(tx.vault, id, external.credentials);
	return { origin: "external", ...external.fields, credentials, maxConnections: null } as const;
}

async function checkVersion(ctx: Pick<Context, "projectDatabases">, wanted: number): Promise<void> {
	const major = await ctx.projectDatabases.asClusterAdmin((admin) => clusterMajor(admin)).catch(refuseAway);
	if (wanted === major) return;
	throw invalid(
		"postgres_version",
		`\`postgres_version\` must be ${major}, which is what this server's cluster runs.`,
	);
}

function refuseAway(error: unknown): never {
	throw error instanceof ProjectDatabaseError ? clusterUnavailable(error) : error;
}
