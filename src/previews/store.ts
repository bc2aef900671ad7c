import { and, count, desc, eq, inArray, lt, lte, ne, or, sql } from "drizzle-orm";
import type { PreviewId, ProjectId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import type { Preview, PreviewState } from "./preview.ts";
import { previews } from "./table.ts";

export type NewPreview = Pick<
	Preview,
	"id" | "organizationId" | "projectId" | "name" | "mode" | "credentials"
> & { ttlHours: number };

type Changes = Partial<Pick<Preview, "state" | "lastError" | "deletionReason">>;

export function previewStore({ orm }: Database) {
	const touched = { updatedAt: sql`clock_now()` };
	const hoursFromNow = (hours: number) => sql<Date>`clock_now() + make_interval(hours => ${hours}::int)`;
	const living = (projectId: ProjectId) =>
		and(eq(previews.projectId, projectId), ne(previews.state, "deleting"));
	const expired = and(ne(previews.state, "deleting"), lte(previews.ttlExpiresAt, sql`clock_now()`));
	const stuck = and(
		eq(previews.state, "deleting"),
		lte(previews.updatedAt, sql`clock_now() - interval '1 hour'`),
	);
	return {
		/** Throws the unique violation `preview_databases_project_name_key` for a name that is taken. */
		async insert({ ttlHours, ...values }: NewPreview): Promise<Preview> {
			const [row] = await orm
				.insert(previews)
				.values({ ...values, state: "provisioning", ttlExpiresAt: hoursFromNow(ttlHours) })
				.returning();
			return row as Preview;
		},

		async find(id: PreviewId): Promise<Preview | null> {
			const [row] = await orm.select().from(previews).where(eq(previews.id, id));
			return row ?? null;
		},

		/** The same, locked until the transaction ends. */
		async findForUpdate(id: PreviewId): Promise<Preview | null> {
			const [row] = await orm.select().from(previews).where(eq(previews.id, id)).for("update");
			return row ?? null;
		},

		/** The one that holds the name, locked until the transaction ends; one that is being deleted holds none. */
		async findByNameForUpdate(projectId: ProjectId, name: string): Promise<Preview | null> {
			const [row] = await orm
				.select()
				.from(previews)
				.where(and(living(projectId), eq(previews.name, name)))
				.for("update");
			return row ?? null;
		},

		/** Newest first. With a limit, one row more than that, to show whether there are more. */
		async list(
			projectId: ProjectId,
			page: { limit: number | null; before: PreviewId | null },
		): Promise<Preview[]> {
			const rows = orm
				.select()
				.from(previews)
				.where(
					and(
						eq(previews.projectId, projectId),
						page.before === null ? undefined : lt(previews.id, page.before),
					),
				)
				.orderBy(desc(previews.id));
			return page.limit === null ? rows : rows.limit(page.limit + 1);
		},

		/** Those that are not being deleted. */
		async listLiving(projectId: ProjectId): Promise<Preview[]> {
			return orm.select().from(previews).where(living(projectId)).orderBy(previews.id);
		},

		async countLiving(projectId: ProjectId): Promise<number> {
			const [row] = await orm.select({ count: count() }).from(previews).where(living(projectId));
			return row?.count ?? 0;
		},

		/** Changes the given fields if the preview is in one of the states; null when it is not. */
		async updateFrom(
			id: PreviewId,
			states: readonly PreviewState[],
			changes: Changes,
		): Promise<Preview | null> {
			const [row] = await orm
				.update(previews)
				.set({ ...changes, ...touched })
				.where(and(eq(previews.id, id), inArray(previews.state, [...states])))
				.returning();
			return row ?? null;
		},

		/** Lets it live for so long from now; null when it is being deleted. */
		async setTtl(id: PreviewId, hours: number): Promise<Preview | null> {
			const [row] = await orm
				.update(previews)
				.set({ ttlExpiresAt: hoursFromNow(hours), ...touched })
				.where(and(eq(previews.id, id), ne(previews.state, "deleting")))
				.returning();
			return row ?? null;
		},

		/** Lets it live for at least so long from now. */
		async prolong(id: PreviewId, hours: number): Promise<Preview | null> {
			const [row] = await orm
				.update(previews)
				.set({ ttlExpiresAt: sql`greatest(${previews.ttlExpiresAt}, ${hoursFromNow(hours)})`, ...touched })
				.where(eq(previews.id, id))
				.returning();
			return row ?? null;
		},

		/**
		 * The preview, locked until the transaction ends, if its end is due: its time is over, or it has been on its
		 * way out for an hour.
		 */
		async findDueForUpdate(id: PreviewId): Promise<Preview | null> {
			const [row] = await orm
				.select()
				.from(previews)
				.where(and(eq(previews.id, id), or(expired, stuck)))
				.for("update");
			return row ?? null;
		},

		/** Ids of those whose end is due, at most so many of either kind, the longest overdue first. */
		async listDue(limit: number): Promise<PreviewId[]> {
			const overdue = await orm
				.select({ id: previews.id })
				.from(previews)
				.where(expired)
				.orderBy(previews.ttlExpiresAt)
				.limit(limit);
			const left = await orm
				.select({ id: previews.id })
				.from(previews)
				.where(stuck)
				.orderBy(previews.updatedAt)
				.limit(limit);
			return [...overdue, ...left].map((row) => row.id);
		},

		/** Takes the row of one that is being deleted away; null when it is gone already. */
		async remove(id: PreviewId): Promise<Preview | null> {
			const [row] = await orm
				.delete(previews)
				.where(and(eq(previews.id, id), eq(previews.state, "deleting")))
				.returning();
			return row ?? null;
		},
	};
}
