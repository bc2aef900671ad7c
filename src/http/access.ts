import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { AppError, notFound } from "../core/errors.ts";
import { type IdPrefix, isId, type OrganizationId, type ProjectId } from "../core/ids.ts";
import { hasScope, type Principal, type Scope } from "../core/principal.ts";
import { createRateLimiter } from "./rate-limit.ts";

/** What a route asks of its caller. Every route of the API names it in its `config`. */
export type Access = {
	/** Null: any known caller. */
	scope: Scope | null;
	/** `organization` routes are closed to keys of one project; `caller` leaves the reach to the operation. */
	reach: "caller" | "organization" | "project";
	adminOnly?: true;
	/** Of people signed in, only the organization's admins, whatever the scopes of members. */
	organizationAdminOnly?: true;
	/** The path names no project: the query's `project_id` does. */
	projectInQuery?: true;
};

/** Whose a thing is. */
export type Owner = { organizationId: OrganizationId; projectId: ProjectId | null };

/** How to find the owner of what a path parameter names. */
export type Locator = {
	prefix: IdPrefix;
	noun: string;
	/** `params` are all of the path's, for things that are named below another. */
	find(id: string, params: Record<string, string>): Promise<Owner | null>;
};

export type AccessOptions = {
	findPrincipal(credential: string): Promise<Principal | null>;
	locators: Record<string, Locator>;
	ratePerSecond: number;
	/** Told of refused attempts by known callers, also of those that an operation refuses. */
	onRefused(principal: Principal, refused: { method: string; route: string; code: string }): void;
};

declare module "fastify" {
	interface FastifyContextConfig {
		access?: Access;
	}
	interface FastifyRequest {
		principal: Principal;
	}
}

/**
 * Guards a scope: 401, then 404 (nobody learns that another tenant's things exist), then 403, all before the body is
 * read. A route without `config.access` is refused at the start. A path parameter without a locator, as a provider's
 * name, names nothing that is owned: the operation looks it up within what the others name.
 */
export function useAccess(app: FastifyInstance, options: AccessOptions): void {
	const { ratePerSecond } = options;
	const limiter = createRateLimiter({ perSecond: ratePerSecond, burst: ratePerSecond * 4 });
	const failures = createRateLimiter({ perSecond: 5, burst: 300 });
	app.decorateRequest("principal");
	app.addHook("onRoute", (route) => {
		if (!route.config?.access) throw new Error(`Route ${route.url} names no access.`);
	});
	app.addHook("onRequest", async (request, reply) => {
		request.principal = await authenticate(request, reply, options, failures.take);
		limiter.take(keyOf(request.principal), reply);
		const access = request.routeOptions.config.access as Access;
		const owner = await locate(namedBy(request, access), options.locators, request.principal);
		authorize(request.principal, access, owner);
	});
	app.addHook("onError", async (request, _reply, error) => {
		const principal = request.principal as Principal | null;
		const isRefusal = error instanceof AppError && (error.kind === "forbidden" || error.kind === "not_found");
		if (!principal || !isRefusal) return;
		const route = request.routeOptions.url ?? "";
		options.onRefused(principal, { method: request.method, route, code: error.code });
	});
}

async function authenticate(
	request: FastifyRequest,
	reply: FastifyReply,
	options: AccessOptions,
	takeFailure: (key: string, reply: FastifyReply) => void,
): Promise<Principal> {
	const credential = readCredential(request);
	try {
		if (credential === null) throw missingCredential();
		const principal = await options.findPrincipal(credential);
		if (!principal) throw unknownCredential();
		return principal;
	} catch (error) {
		if (error instanceof AppError && error.kind === "unauthenticated") takeFailure(request.ip, reply);
		throw error;
	}
}

function missingCredential(): AppError {
	const sentence = "Send an API key as `Authorization: Bearer capy_live_…`.";
	return new AppError("unauthenticated", "credential.missing", sentence);
}

function unknownCredential(): AppError {
	const sentence = "The API key or session token is unknown, expired or revoked.";
	return new AppError("unauthenticated", "credential.invalid", sentence);
}

function readCredential(request: FastifyRequest): string | null {
	const { authorization } = request.headers;
	const bearer =
		authorization === undefined ? null : (/^Bearer +(\S{1,4096}) *$/i.exec(authorization)?.[1] ?? "");
	const header = request.headers["x-api-key"];
	return bearer ?? (typeof header === "string" && header.length <= 4096 ? header : null);
}

function keyOf(principal: Principal): string {
	switch (principal.kind) {
		case "admin":
			return "admin";
		case "api_key":
			return principal.keyId;
		case "clerk_session":
			return principal.userId;
	}
}

/** What a request names, by the parameters of a path. */
function namedBy({ params, query }: FastifyRequest, { projectInQuery }: Access): Record<string, string> {
	const { project_id: projectID } = query as Record<string, unknown>;
	const named = params as Record<string, string>;
	return projectInQuery && projectID !== undefined ? { ...named, projectID: String(projectID) } : named;
}

/** Finds the owner of all that is named; 404 unless it is one and the caller's. */
async function locate(
	params: Record<string, string>,
	locators: Record<string, Locator>,
	principal: Principal,
): Promise<Owner | null> {
	const owners: Owner[] = [];
	for (const [name, value] of Object.entries(params)) {
		const locator = locators[name];
		if (!locator) continue;
		const isNamed = isId(locator.prefix, value);
		const owner = isNamed ? (ownOrganization(value, principal) ?? (await locator.find(value, params))) : null;
		const isConsistent = owners.every((outer) => outer.organizationId === owner?.organizationId);
		if (!owner || !isOwnedBy(owner, principal) || !isConsistent) throw notFound(locator.noun);
		owners.push(owner);
	}
	const [first] = owners;
	if (!first) return null;
	return {
		organizationId: first.organizationId,
		projectId: owners.find((owner) => owner.projectId)?.projectId ?? null,
	};
}

/** The caller's own organization is not looked up: none is ever deleted. */
function ownOrganization(id: string, principal: Principal): Owner | null {
	if (principal.kind === "admin" || id !== principal.organizationId) return null;
	return { organizationId: principal.organizationId, projectId: null };
}

function isOwnedBy(owner: Owner, principal: Principal): boolean {
	return principal.kind === "admin" || owner.organizationId === principal.organizationId;
}

function authorize(principal: Principal, access: Access, owner: Owner | null): void {
	if (access.adminOnly && principal.kind !== "admin") {
		throw new AppError("forbidden", "admin.required", "Only the operator's admin token may do this.");
	}
	if (principal.kind === "api_key" && principal.projectId !== null) {
		const isOutside = access.reach === "project" && owner?.projectId !== principal.projectId;
		if (access.reach === "organization" || isOutside) {
			throw new AppError("forbidden", "project.limit", "This API key reaches its own project only.");
		}
	}
	if (access.scope !== null && !hasScope(principal, access.scope)) {
		throw principal.kind === "clerk_session"
			? adminsOnly()
			: new AppError("forbidden", "scope.missing", `The API key lacks the scope \`${access.scope}\`.`);
	}
	if (access.organizationAdminOnly && principal.kind === "clerk_session" && !hasScope(principal, "*")) {
		throw adminsOnly();
	}
}

function adminsOnly(): AppError {
	return new AppError("forbidden", "role.admin_required", "Only admins of the organization may do this.");
}
