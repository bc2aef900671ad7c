import { boolean, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";

/** The variables that are ours at the platforms: by the platform's id, and by a hash of the value that we wrote. */
export const pushedVariables = pgTable(
	"pushed_variables",
	{
		integrationId: id("int", "integration_id").notNull(),
		organizationId: id("org", "organization_id").notNull(),
		/** The project or site, and its team or account. */
		targetId: text("target_id").notNull(),
		targetTeamId: text("target_team_id"),
		key: text("key").notNull(),
		/** Empty for a variable of no branch. */
		branch: text("branch").notNull(),
		fingerprint: text("fingerprint").notNull(),
		/** The platform's; empty until the first write was answered. */
		remoteId: text("remote_id").notNull(),
		version: text("version"),
		/** A write was begun whose outcome is not known. */
		isBeingWritten: boolean("is_being_written").notNull(),
		pushedAt: moment("pushed_at"),
	},
	(table) => [primaryKey({ columns: [table.integrationId, table.targetId, table.key, table.branch] })],
);
