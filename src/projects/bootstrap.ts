import { issueApiKey } from "../api-keys/create-api-key.ts";
import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { newId, type ProjectId } from "../core/ids.ts";
import { systemActor } from "../core/principal.ts";
import { brokenConstraint } from "../platform/db-errors.ts";
import { addProject } from "./create-project.ts";

/**
 * On a database without an organization: makes the organization and the project `default`, whose database the queue
 * then creates, and a key that may do everything in it. The key is nowhere else: print it. Null when there is an
 * organization already, also when another replica makes it at this moment.
 */
export async function bootstrap(
	ctx: Pick<Context, "transaction" | "stores" | "projectDatabases">,
): Promise<{ key: string; projectId: ProjectId } | null> {
	if (await ctx.stores.organizations.isAny()) return null;
	const address = ctx.projectDatabases.publicAddress();
	const organizationId = newId("org");
	const actor = systemActor;
	try {
		return await ctx.transaction(async (tx) => {
			const name = "default";
			// The slug is unique: of two replicas that start on an empty database, the second one ends here.
			await tx.stores.organizations.insert({
				id: organizationId,
				name,
				slug: name,
				clerkOrganizationId: null,
			});
			await recordAudit(tx, { organizationId, action: "organization.created", actor });
			const environment = "production";
			const { project } = await addProject(tx, {
				organizationId,
				name,
				slug: name,
				environment,
				external: null,
				address,
				actor,
			});
			const { plaintext } = await issueApiKey(tx, {
				organizationId,
				projectId: null,
				name: "bootstrap",
				scopes: ["*"],
				source: "bootstrap",
				deviceName: null,
				expiresAt: null,
				actor,
			});
			return { key: plaintext, projectId: project.id };
		});
	} catch (error) {
		if (brokenConstraint(error) === "organizations_slug_key") return null;
		throw error;
	}
}
