import type { Context } from "../context.ts";
import { AppError } from "../core/errors.ts";
import type { OrganizationId } from "../core/ids.ts";
import { createOrganization } from "./create-organization.ts";

/**
 * The organization that stands for the one active in a Clerk session; with `CLERK_AUTO_PROVISION` it is made when
 * it is not known. Throws a 403 for one that is not.
 */
export async function findClerkOrganization(
	ctx: Pick<Context, "stores" | "config" | "transaction">,
	{ userId, organization }: { userId: string; organization: { id: string; slug: string | null } },
): Promise<OrganizationId> {
	const known = await ctx.stores.organizations.findByClerkId(organization.id);
	if (known) return known;
	if (!ctx.config.clerk.autoProvision) {
		throw new AppError(
			"forbidden",
			"organization.unknown",
			"The session's Clerk organization is not connected to an organization here.",
		);
	}
	try {
		const { id } = await createOrganization(ctx, {
			name: organization.slug ?? organization.id,
			clerkOrganizationId: organization.id,
			actor: { kind: "user", id: userId },
		});
		return id;
	} catch (error) {
		// Two first requests of one organization: the other one made it.
		const made = await ctx.stores.organizations.findByClerkId(organization.id);
		if (made) return made;
		throw error;
	}
}
