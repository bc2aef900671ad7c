import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { AppError } from "../core/errors.ts";
import { newId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { slugify } from "../core/slug.ts";
import { brokenConstraint } from "../platform/db-errors.ts";
import type { Organization } from "./organization.ts";

type Input = { name: string; slug?: string; clerkOrganizationId?: string | null; actor: Actor };

/** Makes an organization. A slug that was not given is made from the name. Throws a 409 for a taken one. */
export async function createOrganization(
	ctx: Pick<Context, "transaction">,
	input: Input,
): Promise<Organization> {
	const id = newId("org");
	try {
		return await ctx.transaction(async (tx) => {
			const organization = await tx.stores.organizations.insert({
				id,
				name: input.name,
				slug: input.slug ?? `${slugify(input.name, 48)}-${id.slice(-6)}`,
				clerkOrganizationId: input.clerkOrganizationId ?? null,
			});
			await recordAudit(tx, { organizationId: id, action: "organization.created", actor: input.actor });
			return organization;
		});
	} catch (error) {
		throw takenOrganization(error);
	}
}

/** The 409 of a unique key that an organization ran into; any other error as it is. */
export function takenOrganization(error: unknown): unknown {
	switch (brokenConstraint(error)) {
		case "organizations_slug_key":
			return new AppError("conflict", "slug.taken", "`slug` is taken by another organization.");
		case "organizations_clerk_organization_id_key":
			return new AppError(
				"conflict",
				"clerk_organization_id.taken",
				"`clerk_organization_id` is already in use.",
			);
		default:
			return error;
	}
}
