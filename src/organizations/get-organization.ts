import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { OrganizationId } from "../core/ids.ts";
import type { Organization } from "./organization.ts";

export async function getOrganization(
	ctx: Pick<Context, "stores">,
	id: OrganizationId,
): Promise<Organization> {
	const organization = await ctx.stores.organizations.find(id);
	if (!organization) throw notFound("organization");
	return organization;
}
