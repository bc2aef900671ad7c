import type { ApiKeyId, OrganizationId, ProjectId } from "./ids.ts";

/** Every scope a key may hold. The last three are accepted for older clients and grant nothing here. */
export const scopes = [
	"*",
	"projects:read",
	"projects:write",
	"credentials:read",
	"jobs:read",
	"organizations:read",
	"organizations:write",
	"api_keys:read",
	"api_keys:write",
	"backups:read",
	"backups:write",
	"schema:read",
] as const;

export type Scope = (typeof scopes)[number];

/** What a member's session may do; an admin's may do all. */
export const memberScopes: readonly Scope[] = [
	"projects:read",
	"projects:write",
	"jobs:read",
	"organizations:read",
	"backups:read",
	"schema:read",
];

/** Who is calling. Made by `authenticate.ts`, read by operations. */
export type Principal =
	| { kind: "admin" }
	| {
			kind: "api_key";
			keyId: ApiKeyId;
			organizationId: OrganizationId;
			/** Set for a key that reaches one project only. */
			projectId: ProjectId | null;
			scopes: readonly Scope[];
	  }
	| {
			/** A person signed in at Clerk, within the organization that is active in their session. */
			kind: "clerk_session";
			userId: string;
			organizationId: OrganizationId;
			projectId: null;
			scopes: readonly Scope[];
			clerkOrganization: { id: string; role: string; slug: string | null };
	  };

type SignedIn = Extract<Principal, { kind: "clerk_session" }>;

/** The caller behind a Clerk session, whose active organization is ours by `organizationId`. */
export function sessionPrincipal(
	userId: string,
	clerkOrganization: SignedIn["clerkOrganization"],
	organizationId: OrganizationId,
): Principal {
	// `admin` without prefix is the name that instances from before custom roles still use.
	const isAdmin = /^(org:)?admin$/.test(clerkOrganization.role);
	const scopes: readonly Scope[] = isAdmin ? ["*"] : memberScopes;
	return { kind: "clerk_session", userId, organizationId, projectId: null, scopes, clerkOrganization };
}

/** The actor of an audit event or of a resource, as two columns. */
export type Actor = { kind: "admin" | "api_key" | "user" | "system"; id: string | null };

export const systemActor: Actor = { kind: "system", id: null };

export function actorOf(principal: Principal): Actor {
	switch (principal.kind) {
		case "admin":
			return { kind: "admin", id: null };
		case "api_key":
			return { kind: "api_key", id: principal.keyId };
		case "clerk_session":
			return { kind: "user", id: principal.userId };
	}
}

export function hasScope(principal: Principal, scope: Scope): boolean {
	return principal.kind === "admin" || principal.scopes.includes("*") || principal.scopes.includes(scope);
}
