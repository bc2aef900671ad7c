import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { AppError, notFound } from "../core/errors.ts";
import type { OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { takenOrganization } from "./create-organization.ts";
import type { Organization } from "./organization.ts";

type Input = {
	organizationId: OrganizationId;
	changes: Partial<Pick<Organization, "name" | "slug" | "clerkOrganizationId">>;
	actor: Actor;
};

/**
 * Changes the fields that are given. Throws a 409 for a slug or Clerk organization that another one has, and a 403
 * for another Clerk organization than before unless the operator names it: whose people sign in here is not for a
 * tenant to claim, or those of an organization that is not known yet would sign in to the claimant's.
 */
export async function updateOrganization(
	ctx: Pick<Context, "transaction">,
	input: Input,
): Promise<Organization> {
	try {
		return await ctx.transaction(async (tx) => {
			const { organizationId, changes, actor } = input;
			const found = await tx.stores.organizations.find(organizationId);
			if (!found) throw notFound("organization");
			if (actor.kind !== "admin" && isRelinked(found, changes)) throw linkIsOperators();
			const organization = await tx.stores.organizations.update(organizationId, changes);
			if (!organization) throw notFound("organization");
			const metadata = { fields: Object.keys(input.changes) };
			await recordAudit(tx, { organizationId, action: "organization.updated", actor, metadata });
			return organization;
		});
	} catch (error) {
		throw takenOrganization(error);
	}
}

function isRelinked({ clerkOrganizationId }: Organization, changes: Input["changes"]): boolean {
	return changes.clerkOrganizationId !== undefined && changes.clerkOrganizationId !== clerkOrganizationId;
}

function linkIsOperators(): AppError {
	const sentence = "Only the operator's admin token may change `clerk_organization_id`.";
	return new AppError("forbidden", "admin.required", sentence);
}
