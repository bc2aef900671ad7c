import { type Static, Type } from "@sinclair/typebox";
import type { Principal } from "../core/principal.ts";
import { nullable } from "../http/wire.ts";
import { OrganizationWire } from "../organizations/wire.ts";

const PrincipalWire = Type.Object({
	auth_source: Type.Unsafe<"api_key" | "clerk_session" | "admin_token">(
		Type.String({ enum: ["api_key", "clerk_session", "admin_token"] }),
	),
	is_admin: Type.Boolean(),
	scopes: Type.Array(Type.String()),
	organization_id: nullable(Type.String()),
	project_id: nullable(Type.String()),
	user_id: nullable(Type.String()),
	clerk_organization_id: nullable(Type.String()),
	clerk_organization_role: nullable(Type.String()),
	clerk_organization_slug: nullable(Type.String()),
});

export const MeAnswer = Type.Object({
	organization: Type.Union([OrganizationWire, Type.Null()]),
	principal: PrincipalWire,
});

export function toPrincipalWire(principal: Principal): Static<typeof PrincipalWire> {
	const nobody = {
		user_id: null,
		clerk_organization_id: null,
		clerk_organization_role: null,
		clerk_organization_slug: null,
	};
	if (principal.kind === "admin") {
		const everything = { is_admin: true, scopes: ["*"], organization_id: null, project_id: null };
		return { auth_source: "admin_token", ...everything, ...nobody };
	}
	const reach = {
		is_admin: false,
		scopes: [...principal.scopes],
		organization_id: principal.organizationId,
		project_id: principal.projectId,
	};
	if (principal.kind === "api_key") return { auth_source: "api_key", ...reach, ...nobody };
	return {
		auth_source: "clerk_session",
		...reach,
		user_id: principal.userId,
		clerk_organization_id: principal.clerkOrganization.id,
		clerk_organization_role: principal.clerkOrganization.role,
		clerk_organization_slug: principal.clerkOrganization.slug,
	};
}
