import { sql } from "drizzle-orm";
import { index, integer, jsonb, pgTable, text, uniqueIndex, uuid } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";
import type { JobState, RetryClassification } from "./job.ts";

/** No foreign keys: a job stays readable after its integration and its project are gone. */
export const jobs = pgTable(
	"jobs",
	{
		id: id("job", "id").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id"),
		previewDatabaseId: id("pvw", "preview_database_id"),
		clusterId: text("cluster_id"),
		type: text("type").notNull(),
		state: text("state").$type<JobState>().notNull(),
		attempts: integer("attempts").notNull().default(0),
		maxAttempts: integer("max_attempts").notNull(),
		/** The replica that runs it, and the claim whose writes count: a stale runner's match no row. */
		claimedBy: text("claimed_by"),
		claimId: uuid("claim_id"),
		claimedAt: moment("claimed_at"),
		startedAt: moment("started_at"),
		completedAt: moment("completed_at"),
		error: text("error"),
		lastStdout: text("last_stdout"),
		lastStderr: text("last_stderr"),
		lastExitCode: integer("last_exit_code"),
		lockedResource: text("locked_resource").notNull(),
		retryClassification: text("retry_classification").$type<RetryClassification>(),
		/** What the job was asked to do; never a secret. */
		input: jsonb("input").$type<Record<string, unknown>>().notNull(),
		/** Where to go on after a crash. */
		progress: jsonb("progress").$type<Record<string, unknown>>().notNull().default({}),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
		updatedAt: moment("updated_at").notNull().default(sql`clock_now()`),
	},
	(table) => [
		index("jobs_project_idx").on(table.projectId, table.id),
		index("jobs_organization_idx").on(table.organizationId, table.id),
		uniqueIndex("jobs_running_resource_key").on(table.lockedResource).where(sql`state = 'running'`),
		index("jobs_open_idx").on(table.lockedResource).where(sql`state in ('pending', 'running')`),
	],
);
