import { sql } from "drizzle-orm";
import { index, pgTable, text } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";
import type { OAuthFlow } from "./flow.ts";

export const oauthFlows = pgTable(
	"oauth_flows",
	{
		/** SHA-256 of the state, or of the confirmation once a grant waits for it; base64url. */
		tokenHash: text("token_hash").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id").notNull(),
		provider: text("provider").notNull(),
		actorKind: text("actor_kind").$type<OAuthFlow["actorKind"]>().notNull(),
		actorId: text("actor_id"),
		/** Sealed JSON of a grant that waits to be confirmed. */
		heldGrant: text("held_grant"),
		usedAt: moment("used_at"),
		expiresAt: moment("expires_at").notNull(),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
	},
	(table) => [index("oauth_flows_expires_at_idx").on(table.expiresAt)],
);
