import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { takenOrganization } from "./create-organization.ts";
import type { Organization } from "./organization.ts";

type Input = {
	organizationId: OrganizationId;
	changes: Partial<Pick<Organization, "name" | "slug" | "clerkOrganizationId">>;
	actor: Actor;
};

/** Changes the fields that are given. Throws a 409 for a slug or Clerk organization that another one has. */
export async function updateOrganization(
	ctx: Pick<Context, "transaction">,
	input: Input,
): Promise<Organization> {
	try {
		return await ctx.transaction(async (tx) => {
			const organization = await tx.stores.organizations.update(input.organizationId, input.changes);
			if (!organization) throw notFound("organization");
			const { organizationId, actor } = input;
			const metadata = { fields: Object.keys(input.changes) };
			await recordAudit(tx, { organizationId, action: "organization.updated", actor, metadata });
			return organization;
		});
	} catch (error) {
		throw takenOrganization(error);
	}
}
