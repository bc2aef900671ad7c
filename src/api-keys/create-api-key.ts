import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import { AppError, invalid, notFound } from "../core/errors.ts";
import { isId, newId } from "../core/ids.ts";
import { type Actor, actorOf, hasScope, type Principal, type Scope } from "../core/principal.ts";
import type { ApiKey } from "./api-key.ts";
import { tooManyKeys } from "./errors.ts";
import { hashKey, newKeyText, shownPrefix } from "./key-text.ts";

type Issue = Pick<
	ApiKey,
	"organizationId" | "projectId" | "name" | "scopes" | "source" | "deviceName" | "expiresAt"
> & { actor: Actor };

type Input = Omit<Issue, "actor" | "source" | "projectId"> & {
	projectId: string | null;
	principal: Principal;
	/** Unless over the API. */
	source?: ApiKey["source"];
};

const liveKeysMax = 1_000;

export type IssuedApiKey = { apiKey: ApiKey; plaintext: string };

/**
 * Makes a key for a caller. Throws a 404 for a project that is not the organization's, a 403 for scopes beyond the
 * caller's own, a 400 for an expiry that is past and for organization scopes on a key of one project, a 409 at 1,000
 * keys in force. `*` on a key of one project means everything in it: organization routes refuse it whatever its scopes.
 */
export async function createApiKey(
	ctx: Pick<Context, "transaction" | "stores" | "clock">,
	input: Input,
): Promise<IssuedApiKey> {
	const projectId = await findProject(ctx, input);
	refuseWider(input.principal, input.scopes);
	if (input.expiresAt !== null && input.expiresAt <= ctx.clock.now()) {
		throw invalid("expires_at", "`expires_at` must be in the future.");
	}
	if (projectId !== null) refuseOrganizationScopes(input.scopes);
	const { principal, ...rest } = input;
	return ctx.transaction((tx) =>
		issueApiKey(tx, { ...rest, projectId, source: rest.source ?? "api", actor: actorOf(principal) }),
	);
}

/** Makes a key without asking who wants it; a 409 at 1,000 in force. The plaintext exists only in what this returns. */
export async function issueApiKey(tx: Pick<Transaction, "stores">, input: Issue): Promise<IssuedApiKey> {
	const { actor, ...values } = input;
	if ((await tx.stores.apiKeys.countLiveExclusively(values.organizationId)) >= liveKeysMax) {
		throw tooManyKeys(liveKeysMax);
	}
	const plaintext = newKeyText();
	const apiKey = await tx.stores.apiKeys.insert({
		...values,
		id: newId("key"),
		keyPrefix: shownPrefix(plaintext),
		keyHash: hashKey(plaintext),
		createdByUserId: actor.kind === "user" ? actor.id : null,
	});
	const { organizationId, projectId } = apiKey;
	const metadata = { api_key_id: apiKey.id, scopes: apiKey.scopes };
	await recordAudit(tx, { organizationId, projectId, action: "api_key.created", actor, metadata });
	return { apiKey, plaintext };
}

async function findProject(ctx: Pick<Context, "stores">, input: Input): Promise<ApiKey["projectId"]> {
	const { projectId, organizationId } = input;
	if (projectId === null) return null;
	const project = isId("prj", projectId) ? await ctx.stores.projects.find(projectId) : null;
	if (project?.organizationId !== organizationId) throw notFound("project");
	return project.id;
}

function refuseWider(principal: Principal, wanted: readonly Scope[]): void {
	const wider = wanted.find((scope) => !hasScope(principal, scope));
	if (wider === undefined) return;
	const sentence = `A key cannot make one that may do more than itself: it lacks the scope \`${wider}\`.`;
	throw new AppError("forbidden", "scope.wider", sentence);
}

function refuseOrganizationScopes(wanted: readonly Scope[]): void {
	const beyond = wanted.find((scope) => /^(organizations|api_keys):/.test(scope));
	if (beyond === undefined) return;
	throw invalid("scopes", `\`scopes\` of a key of one project cannot hold \`${beyond}\`.`);
}
