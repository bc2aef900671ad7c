import type { Operation } from "./operations.ts";

/** The scope that is needed, by path; the first that fits. For reading, then for changing. */
const scopeRules: [RegExp, string | null, string | null][] = [
	[/\/connections$/, "credentials:read", "credentials:read"],
	[/\/projects\/\{projectID\}\/users/, "credentials:read", "credentials:read"],
	[/\/jobs/, "jobs:read", "projects:write"],
	[/\/resources$|\/oauth\/start$/, "projects:write", "projects:write"],
	[/\/api-keys/, "api_keys:read", "api_keys:write"],
	[/^\/v1\/organizations\/\{orgID\}/, "organizations:read", "organizations:write"],
	[/^\/v1\/webhook-event-types/, "organizations:read", null],
	[/^\/v1\/(projects|preview-databases)/, "projects:read", "projects:write"],
	[/^\/v1\/(me|regions)$/, null, null],
];
/** What the operator alone may do. */
export const adminOnly = new Set(["createOrganization"]);

/** The scope that an operation needs; null when any known caller, or the operator alone, may call it. */
export function scopeOf(operation: Operation): string | null {
	if (adminOnly.has(operation.id)) return null;
	const rule = scopeRules.find(([path]) => path.test(operation.path));
	if (!rule) throw new Error(`Which scope is needed at ${operation.path}?`);
	return operation.method === "GET" ? rule[1] : rule[2];
}
