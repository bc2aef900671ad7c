import { type Static, Type } from "@sinclair/typebox";
import type { OrganizationId } from "../core/ids.ts";
import { ListQuery, nextCursor, nullable, Slug, Timestamp, text } from "../http/wire.ts";
import { JobWire } from "../jobs/wire.ts";
import type { Connections } from "./cluster-connections.ts";
import type { Project } from "./project.ts";

const Environment = Type.Unsafe<Project["environment"]>(
	Type.String({ enum: ["production", "non_production"] }),
);

export const ProjectWire = Type.Object({
	id: Type.String(),
	organization_id: Type.String(),
	name: Type.String(),
	slug: Type.String(),
	state: Type.Unsafe<Project["state"]>(
		Type.String({ enum: ["provisioning", "ready", "failed", "deleting"] }),
	),
	region: Type.String(),
	plan: Type.String(),
	environment: Environment,
	always_on: Type.Boolean(),
	postgres_version: nullable(Type.Integer()),
	database_name: nullable(Type.String()),
	role_name: nullable(Type.String()),
	direct_port: nullable(Type.Integer()),
	pooled_port: nullable(Type.Integer()),
	public_host: nullable(Type.String()),
	ssl_mode: nullable(Type.String()),
	max_connections: nullable(Type.Integer()),
	storage_limit_bytes: nullable(Type.Integer()),
	last_error: nullable(Type.String()),
	created_at: Timestamp,
	updated_at: Timestamp,
});

export function toProjectWire(project: Project): Static<typeof ProjectWire> {
	return {
		id: project.id,
		organization_id: project.organizationId,
		name: project.name,
		slug: project.slug,
		state: project.state,
		region: project.region,
		plan: project.plan,
		environment: project.environment,
		always_on: project.alwaysOn,
		postgres_version: project.postgresVersion,
		database_name: project.databaseName,
		role_name: project.roleName,
		direct_port: project.directPort,
		pooled_port: project.pooledPort,
		public_host: project.publicHost,
		ssl_mode: project.sslMode,
		max_connections: project.maxConnections,
		storage_limit_bytes: project.storageLimitBytes,
		last_error: project.lastError,
		created_at: project.createdAt.toISOString(),
		updated_at: project.updatedAt.toISOString(),
	};
}

export const ProjectAnswer = Type.Object({ project: ProjectWire });
export const ProjectAndJobAnswer = Type.Object({ project: ProjectWire, job: JobWire });
/** `job` is the one that checks changed URLs, where there is one. */
export const UpdatedProjectAnswer = Type.Object({
	project: ProjectWire,
	job: Type.Union([JobWire, Type.Null()]),
});
export const ProjectsAnswer = Type.Object({ projects: Type.Array(ProjectWire), next_cursor: nextCursor });

const ConnectionsWire = Type.Object({
	username: Type.String(),
	pooled_url: Type.String(),
	direct_url: Type.String(),
});

/** Of a project's database and of a preview's alike. */
export const ConnectionsAnswer = Type.Object({ connections: ConnectionsWire });

export function toConnectionsWire(connections: Connections): Static<typeof ConnectionsWire> {
	return {
		username: connections.username,
		pooled_url: connections.pooledUrl,
		direct_url: connections.directUrl,
	};
}

export const RegionsAnswer = Type.Object({
	regions: Type.Array(Type.String()),
	region_details: Type.Array(
		Type.Object({ id: Type.String(), display_name: Type.String(), location: Type.String() }),
	),
});

const name = text({ minLength: 1, maxLength: 100 });
const Url = Type.String({ minLength: 1, maxLength: 2048 });

export const CreateProjectBody = Type.Object(
	{
		name,
		slug: Type.Optional(Slug),
		organization_id: Type.Optional(Type.Unsafe<OrganizationId>(Type.String({ maxLength: 100 }))),
		environment: Type.Optional(Environment),
		region: Type.Optional(Type.String({ enum: ["self-hosted"] })),
		postgres_version: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
		database_url: Type.Optional(Url),
		direct_url: Type.Optional(Url),
	},
	{ additionalProperties: false },
);

export const UpdateProjectBody = Type.Object(
	{
		name: Type.Optional(name),
		environment: Type.Optional(Environment),
		always_on: Type.Optional(Type.Boolean()),
		database_url: Type.Optional(Url),
		direct_url: Type.Optional(Url),
	},
	{ additionalProperties: false },
);

export const RotateCredentialsBody = Type.Object(
	{ grace_hours: Type.Optional(Type.Integer({ minimum: 0 })) },
	{ additionalProperties: false },
);

export const ListProjectsQuery = Type.Object({
	...ListQuery.properties,
	organization_id: Type.Optional(Type.Unsafe<OrganizationId>(Type.String({ maxLength: 100 }))),
});

export function fromCreateBody(body: Static<typeof CreateProjectBody>) {
	return {
		name: body.name,
		environment: body.environment ?? "production",
		organizationId: body.organization_id ?? null,
		slug: body.slug ?? null,
		postgresVersion: body.postgres_version ?? null,
		urls: fromUrls(body),
	} as const;
}

export function fromUpdateBody(body: Static<typeof UpdateProjectBody>) {
	return {
		fields: {
			...(body.name === undefined ? {} : { name: body.name }),
			...(body.environment === undefined ? {} : { environment: body.environment }),
			...(body.always_on === undefined ? {} : { alwaysOn: body.always_on }),
		},
		urls: fromUrls(body),
	};
}

function fromUrls(body: { database_url?: string; direct_url?: string }) {
	return { databaseUrl: body.database_url ?? null, directUrl: body.direct_url ?? null };
}
