import { sql } from "drizzle-orm";
import { bigint, boolean, index, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";
import type { Deployment } from "./deployment.ts";

export const deployments = pgTable(
	"deployments",
	{
		id: id("dep", "id").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id").notNull(),
		integrationId: id("int", "integration_id").notNull(),
		provider: text("provider").notNull(),
		externalId: text("external_id").notNull(),
		state: text("state").$type<Deployment["state"]>().notNull(),
		/** When the state was reached; with it reports are put in order. */
		stateAt: moment("state_at").notNull(),
		/** What events were published. */
		announced: text("announced").array().$type<Deployment["announced"]>().notNull(),
		context: text("context").notNull(),
		isPreview: boolean("is_preview").notNull(),
		branch: text("branch"),
		commitSha: text("commit_sha"),
		commitMessage: text("commit_message"),
		commitAuthor: text("commit_author"),
		pullRequest: bigint("pull_request", { mode: "number" }),
		isFork: boolean("is_fork"),
		url: text("url"),
		inspectUrl: text("inspect_url"),
		errorCode: text("error_code"),
		previewDatabaseId: id("pvw", "preview_database_id"),
		lastError: text("last_error"),
		startedAt: moment("started_at").notNull(),
		readyAt: moment("ready_at"),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
		updatedAt: moment("updated_at").notNull().default(sql`clock_now()`),
	},
	(table) => [
		uniqueIndex("deployments_external_key").on(table.projectId, table.provider, table.externalId),
		index("deployments_project_idx").on(table.projectId, table.id),
		index("deployments_branch_idx").on(table.integrationId, sql`md5(${table.branch})`, table.startedAt),
	],
);

/** The branches of an integration that have a database, or variables that name one. */
export const deploymentBranches = pgTable(
	"deployment_branches",
	{
		integrationId: id("int", "integration_id").notNull(),
		branch: text("branch").notNull(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id").notNull(),
		/** What its variables shall name; null once that is gone. */
		previewDatabaseId: id("pvw", "preview_database_id"),
		/** What they were last set to, and when. */
		pushedPreviewId: id("pvw", "pushed_preview_id"),
		/** At which target, under which prefix. */
		pushedTo: text("pushed_to"),
		pushedAt: moment("pushed_at"),
		/** For which database the branch was built once more. */
		redeployedPreviewId: id("pvw", "redeployed_preview_id"),
		lastError: text("last_error"),
		failedAt: moment("failed_at"),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
		updatedAt: moment("updated_at").notNull().default(sql`clock_now()`),
	},
	(table) => [
		primaryKey({ columns: [table.integrationId, table.branch] }),
		index("deployment_branches_preview_idx").on(table.previewDatabaseId),
	],
);
