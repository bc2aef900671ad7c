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

/** Who is calling. Made by `http/authenticate.ts`, read by operations. */
export type Principal =
	| { kind: "admin" }
	| {
			kind: "api_key";
			keyId: ApiKeyId;
			organizationId: OrganizationId;
			/** Set for a key that reaches one project only. */
			projectId: ProjectId | null;
			scopes: readonly Scope[];
	  };

/** The actor of an audit event or of a resource, as two columns. */
export type Actor = { kind: "admin" | "api_key" | "system"; id: string | null };

export const systemActor: Actor = { kind: "system", id: null };

export function actorOf(principal: Principal): Actor {
	return principal.kind === "admin" ? { kind: "admin", id: null } : { kind: "api_key", id: principal.keyId };
}

export function hasScope(principal: Principal, scope: Scope): boolean {
	return principal.kind === "admin" || principal.scopes.includes("*") || principal.scopes.includes(scope);
}
