import type { HookCheck, HookRegistered, PlatformAccess, RemoteHook } from "../deployment-provider.ts";
import type { ProviderHttp } from "../http.ts";
import { ask, explained, isRefusal, scopeOf, tell } from "./client.ts";
import { isWebhook, isWebhookCreated, isWebhookList } from "./wire.ts";

/** `ready` and `succeeded` come in either order and mean the same to us; one of them may not be sent at all. */
const events = [
	"deployment.created",
	"deployment.ready",
	"deployment.succeeded",
	"deployment.error",
	"deployment.canceled",
	"deployment.promoted",
];
/** vercel.com/docs/webhooks: account webhooks of a team. */
const hooksMax = 20;

/**
 * Makes one webhook for the deployment events of the project (`POST /v1/webhooks`). Vercel chooses the secret and
 * shows it in this answer only.
 */
export async function registerHook(
	http: ProviderHttp,
	access: PlatformAccess,
	{ url }: { url: string },
): Promise<HookRegistered> {
	try {
		const body = { url, events, projectIds: [access.target.id] };
		const query = scopeOf(access.target.teamId);
		const call = { method: "POST" as const, path: "/v1/webhooks", query, body };
		const { id, secret } = await ask(http, access, call, isWebhookCreated);
		return { hooks: [{ id, url, event: null }], signingSecret: secret, note: null };
	} catch (error) {
		if (isRefusal(error, "forbidden", "unauthorized", "invalid_request"))
			throw await reasonOf(http, access, error);
		throw error;
	}
}

/** A webhook cannot be changed: one that is not as it should be counts as missing, and is then made anew. */
export async function checkHook(
	http: ProviderHttp,
	access: PlatformAccess,
	{ hooks, url }: { hooks: readonly RemoteHook[]; url: string },
): Promise<HookCheck> {
	const [hook] = hooks;
	if (hook === undefined) return { state: "missing" };
	try {
		const call = {
			path: `/v1/webhooks/${encodeURIComponent(hook.id)}`,
			query: scopeOf(access.target.teamId),
		};
		const found = await ask(http, access, call, isWebhook);
		const hearsProject = !found.projectIds?.length || found.projectIds.includes(access.target.id);
		const hearsAll = events.every((event) => found.events.includes(event));
		return { state: found.url === url && hearsProject && hearsAll ? "standing" : "missing" };
	} catch (error) {
		if (isRefusal(error, "not_found")) return { state: "missing" };
		throw error;
	}
}

export async function listHooks(http: ProviderHttp, access: PlatformAccess): Promise<RemoteHook[]> {
	const query = { ...scopeOf(access.target.teamId), projectId: access.target.id };
	const hooks = await ask(http, access, { path: "/v1/webhooks", query }, isWebhookList);
	return hooks.map(({ id, url }) => ({ id, url, event: null }));
}

export async function deleteHook(http: ProviderHttp, access: PlatformAccess, hookId: string): Promise<void> {
	try {
		const path = `/v1/webhooks/${encodeURIComponent(hookId)}`;
		await tell(http, access, { method: "DELETE", path, query: scopeOf(access.target.teamId) });
	} catch (error) {
		if (!isRefusal(error, "not_found")) throw error;
	}
}

/** Vercel documents no code for a full team, so that the hooks are counted when a registration is refused. */
async function reasonOf(
	http: ProviderHttp,
	access: PlatformAccess,
	error: Parameters<typeof explained>[0],
): Promise<Error> {
	if ((await countHooks(http, access)) >= hooksMax) {
		const sentence = `Vercel allows ${hooksMax} webhooks a team, and all are taken: delete one there.`;
		return explained(error, sentence, "limit_reached");
	}
	if (error.reason === "invalid_request") return explained(error, "Vercel refused to register the webhook.");
	return explained(
		error,
		"Vercel did not let this token register a webhook: that needs a token for the whole team, not for one project, and a team on the Pro or Enterprise plan.",
	);
}

async function countHooks(http: ProviderHttp, access: PlatformAccess): Promise<number> {
	try {
		const call = { path: "/v1/webhooks", query: scopeOf(access.target.teamId) };
		return (await ask(http, access, call, isWebhookList)).length;
	} catch (error) {
		access.signal?.throwIfAborted();
		if (error instanceof Error && error.name === "ProviderError") return 0;
		throw error;
	}
}
