import { randomBytes } from "node:crypto";
import { hookDocument } from "./documents.ts";
import { type Caller, checkFields, checkQuery } from "./scope.ts";
import {
	type Answer,
	badRequest,
	type FakeHook,
	forbidden,
	hooksMax,
	moment,
	newId,
	notFound,
	refusal,
	type State,
} from "./state.ts";

/** Those of the names that a deployment platform's user may subscribe to which matter here; others are `invalid_event`. */
const knownEvents = new Set([
	"deployment.created",
	"deployment.cleanup",
	"deployment.error",
	"deployment.canceled",
	"deployment.succeeded",
	"deployment.ready",
	"deployment.promoted",
	"project.created",
	"project.removed",
]);

/** Every call on webhooks is the team's: a token for one project is refused. */
export async function answerHooks(
	state: State,
	caller: Caller,
	request: { method: string; id: string | null; query: Record<string, string>; body: unknown },
): Promise<Answer> {
	if (caller.token.projectId !== null) return forbidden();
	const { method, id, query } = request;
	const wrong = checkQuery(query, id === null && method === "GET" ? ["projectId"] : []);
	if (wrong !== null) return wrong;
	if (id === null && method === "GET") return listHooks(state, caller, query.projectId);
	if (id === null && method === "POST") return createHook(state, caller, request.body);
	const hook = state.hooks.get(id ?? "");
	if (hook === undefined || hook.ownerId !== caller.accountId) return notFound("Webhook");
	if (method === "GET") return { status: 200, body: hookDocument(hook) };
	if (method !== "DELETE") return refusal(405, "method_not_allowed", "Method not allowed");
	state.hooks.delete(hook.id);
	return { status: 204 };
}

function listHooks(state: State, caller: Caller, projectId: string | undefined): Answer {
	const hooks = [...state.hooks.values()].filter(
		({ ownerId, projectIds }) =>
			ownerId === caller.accountId && (projectId === undefined || (projectIds?.includes(projectId) ?? true)),
	);
	return { status: 200, body: hooks.map(hookDocument) };
}

async function createHook(state: State, caller: Caller, body: unknown): Promise<Answer> {
	const fault =
		checkFields(body, ["url", "events", "projectIds"]) ?? checkHook(state, caller, body as FakeHook);
	if (fault !== null) return fault;
	if (state.teams.get(caller.accountId)?.plan !== "pro") {
		return refusal(403, "forbidden", "Webhooks are available on the Pro and Enterprise plans.");
	}
	const standing = [...state.hooks.values()].filter(({ ownerId }) => ownerId === caller.accountId);
	if (standing.length >= hooksMax) return refusal(400, "webhook_limit", "The limit of webhooks is reached.");
	const { url, events, projectIds } = body as FakeHook;
	const createdAt = moment(state);
	const secret = randomBytes(20).toString("base64url");
	const hook: FakeHook = {
		id: newId("account_hook"),
		secret,
		url,
		events,
		...(projectIds === undefined ? {} : { projectIds }),
		ownerId: caller.accountId,
		createdAt,
	};
	state.hooks.set(hook.id, hook);
	await state.beforeHookAnswer?.(hook);
	return { status: 200, body: { ...hookDocument(hook), secret } };
}

function checkHook(state: State, caller: Caller, { url, events, projectIds }: FakeHook): Answer | null {
	if (typeof url !== "string" || !/^https?:\/\//.test(url) || !URL.canParse(url)) {
		return refusal(400, "invalid_url", "The URL is invalid.");
	}
	if (!Array.isArray(events) || events.length === 0) return badRequest("Invalid request: `events`.");
	if (events.some((event) => !knownEvents.has(event))) return refusal(400, "invalid_event", "Unknown event.");
	if (projectIds === undefined) return null;
	if (!Array.isArray(projectIds) || projectIds.length === 0 || projectIds.length > 50) {
		return badRequest("Invalid request: `projectIds`.");
	}
	const areOwn = projectIds.every((id) => state.projects.get(id)?.accountId === caller.accountId);
	return areOwn ? null : notFound("Project");
}
