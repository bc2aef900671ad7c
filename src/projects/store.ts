import { and, count, desc, eq, inArray, isNull, lt, ne, or, sql } from "drizzle-orm";
import type { OrganizationId, ProjectId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import { holdName } from "../platform/named-lock.ts";
import type { Project, ProjectState } from "./project.ts";
import { projects } from "./table.ts";

export type NewProject = Pick<
	Project,
	| "id"
	| "organizationId"
	| "name"
	| "slug"
	| "origin"
	| "environment"
	| "databaseName"
	| "roleName"
	| "credentials"
	| "directPort"
	| "pooledPort"
	| "publicHost"
	| "sslMode"
	| "maxConnections"
>;

export type ProjectChanges = Partial<
	Pick<
		Project,
		| "name"
		| "environment"
		| "alwaysOn"
		| "state"
		| "databaseName"
		| "roleName"
		| "directPort"
		| "pooledPort"
		| "publicHost"
		| "sslMode"
		| "lastError"
		| "postgresVersion"
	>
>;

export type PublicAddress = Pick<Project, "publicHost" | "directPort" | "pooledPort" | "sslMode">;

/** Which projects a list shows; null takes all. */
export type ProjectFilter = { organizationId: OrganizationId | null; projectId: ProjectId | null };

export function projectStore({ orm }: Database) {
	const living = (id: ProjectId) => and(eq(projects.id, id), isNull(projects.deletedAt));
	const touched = { updatedAt: sql`clock_now()` };
	return {
		async insert(values: NewProject): Promise<Project> {
			const [row] = await orm
				.insert(projects)
				.values({ ...values, state: "provisioning" })
				.returning();
			return row as Project;
		},

		/** A project that is not gone; one that is just being deleted is still there. */
		async find(id: ProjectId): Promise<Project | null> {
			const [row] = await orm.select().from(projects).where(living(id));
			return row ?? null;
		},

		/** Those of these ids that are projects of the organization and not gone. */
		async findIds(organizationId: OrganizationId, ids: readonly ProjectId[]): Promise<ProjectId[]> {
			if (ids.length === 0) return [];
			const isOne = and(eq(projects.organizationId, organizationId), inArray(projects.id, [...ids]));
			const rows = await orm
				.select({ id: projects.id })
				.from(projects)
				.where(and(isOne, isNull(projects.deletedAt)));
			return rows.map((row) => row.id);
		},

		/** The same as `find`, locked until the transaction ends. */
		async findForUpdate(id: ProjectId): Promise<Project | null> {
			const [row] = await orm.select().from(projects).where(living(id)).for("update");
			return row ?? null;
		},

		/** Newest first. With a limit, one row more than that, to show whether there are more. */
		async list(
			filter: ProjectFilter,
			page: { limit: number | null; before: ProjectId | null },
		): Promise<Project[]> {
			const rows = orm
				.select()
				.from(projects)
				.where(
					and(
						isNull(projects.deletedAt),
						filter.organizationId === null ? undefined : eq(projects.organizationId, filter.organizationId),
						filter.projectId === null ? undefined : eq(projects.id, filter.projectId),
						page.before === null ? undefined : lt(projects.id, page.before),
					),
				)
				.orderBy(desc(projects.id));
			return page.limit === null ? rows : rows.limit(page.limit + 1);
		},

		/** How many there are; until the transaction ends, no other one can count and add. */
		async countExclusively(organizationId: OrganizationId): Promise<number> {
			await holdName({ orm }, `projects:${organizationId}`);
			const [row] = await orm
				.select({ count: count() })
				.from(projects)
				.where(and(eq(projects.organizationId, organizationId), isNull(projects.deletedAt)));
			return row?.count ?? 0;
		},

		/** Changes the given fields; null when the project is gone. */
		async update(id: ProjectId, changes: ProjectChanges): Promise<Project | null> {
			const [row] = await orm
				.update(projects)
				.set({ ...changes, ...touched })
				.where(living(id))
				.returning();
			return row ?? null;
		},

		/** Changes the given fields if the project is in one of the states; null when it is not. */
		async updateFrom(
			id: ProjectId,
			states: readonly ProjectState[],
			changes: ProjectChanges,
		): Promise<Project | null> {
			const [row] = await orm
				.update(projects)
				.set({ ...changes, ...touched })
				.where(and(living(id), inArray(projects.state, [...states])))
				.returning();
			return row ?? null;
		},

		/** Keeps sealed credentials that are not in force yet. */
		async stageCredentials(id: ProjectId, credentials: string): Promise<void> {
			await orm.update(projects).set({ credentials }).where(living(id));
		},

		/** Puts sealed credentials in force. */
		async replaceCredentials(id: ProjectId, credentials: string): Promise<Project | null> {
			const [row] = await orm
				.update(projects)
				.set({ credentials, credentialsVersion: sql`${projects.credentialsVersion} + 1`, ...touched })
				.where(living(id))
				.returning();
			return row ?? null;
		},

		/** Ends the project's life in the API; `credentials` takes the place of the erased ones. */
		async markDeleted(id: ProjectId, credentials: string): Promise<Project | null> {
			const [row] = await orm
				.update(projects)
				.set({ credentials, deletedAt: sql`clock_now()`, ...touched })
				.where(and(living(id), eq(projects.state, "deleting")))
				.returning();
			return row ?? null;
		},

		/** Created projects that were deleted 24 hours ago or earlier and whose databases still stand. */
		async listExpired(limit: number): Promise<Project[]> {
			return orm
				.select()
				.from(projects)
				.where(
					and(
						eq(projects.origin, "created"),
						isNull(projects.droppedAt),
						sql`${projects.deletedAt} <= clock_now() - interval '24 hours'`,
					),
				)
				.orderBy(projects.deletedAt)
				.limit(limit);
		},

		async markDropped(id: ProjectId): Promise<void> {
			await orm.update(projects).set({ droppedAt: sql`clock_now()` }).where(eq(projects.id, id));
		},

		/** Gives all created projects the address that customers reach the cluster by now. */
		async moveCreatedTo(address: PublicAddress): Promise<void> {
			const differs = or(
				ne(sql`coalesce(${projects.publicHost}, '')`, address.publicHost ?? ""),
				ne(sql`coalesce(${projects.directPort}, 0)`, address.directPort ?? 0),
				ne(sql`coalesce(${projects.pooledPort}, 0)`, address.pooledPort ?? 0),
				ne(projects.sslMode, address.sslMode),
			);
			await orm
				.update(projects)
				.set(address)
				.where(and(eq(projects.origin, "created"), isNull(projects.deletedAt), differs));
		},
	};
}
