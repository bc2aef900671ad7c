import { invalid, notFound } from "../core/errors.ts";
import { isId, type OrganizationId } from "../core/ids.ts";
import type { Principal } from "../core/principal.ts";

/**
 * The organization that a new project goes to: an API key's own, or the one that the operator names. Throws a 404
 * for a key that names another one, a 400 for the operator naming none.
 */
export function chooseOrganization(principal: Principal, asked: string | null): OrganizationId {
	const chosen = organizationFilter(principal, asked);
	if (chosen === null) {
		throw invalid("organization_id", "`organization_id` is required with the admin token.");
	}
	return chosen;
}

/** The organization whose projects a caller lists; null for the operator, who may see all. */
export function organizationFilter(principal: Principal, asked: string | null): OrganizationId | null {
	if (asked !== null && !isId("org", asked)) throw notFound("organization");
	if (principal.kind === "admin") return asked;
	if (asked !== null && asked !== principal.organizationId) throw notFound("organization");
	return principal.organizationId;
}
