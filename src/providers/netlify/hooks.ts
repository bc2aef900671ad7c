import type { HookCheck, HookRegistered, PlatformAccess, RemoteHook } from "../deployment-provider.ts";
import type { ProviderHttp } from "../http.ts";
import { ask, isRefusal, tell } from "./client.ts";
import { isHook, isHookList, isHookTypeList, type NetlifyHook } from "./wire.ts";

/**
 * One hook an event. `deploy_created` is the historical name of "succeeded", `deploy_building` that of "started".
 * `deploy_failed_after_succeeding` would repeat `deploy_failed`.
 */
const events = ["deploy_building", "deploy_created", "deploy_failed", "deploy_restored"] as const;

type Registration = { url: string; secret: string | null };

/**
 * Makes a hook for each event, or takes over one that calls the same URL already, and reads all back: only where
 * each shows our secret will deliveries be signed for certain. When one is refused, those that were made go again.
 */
export async function registerHook(
	http: ProviderHttp,
	access: PlatformAccess,
	input: { url: string; secret: string },
): Promise<HookRegistered> {
	const restricted = await restrictedEvents(http, access);
	const standing = await readHooks(http, access);
	const made: NetlifyHook[] = [];
	try {
		for (const event of events) {
			if (restricted.has(event)) continue;
			const url = hookUrl(input.url, event);
			const found = standing.find((hook) => hook.event === event && hook.data?.url === url);
			made.push(await ensureHook(http, access, input, event, found));
		}
		const shown = await Promise.all(made.map((hook) => readHook(http, access, hook.id)));
		const isSigned = shown.length > 0 && shown.every((hook) => hook.data?.signature_secret === input.secret);
		return {
			hooks: shown.map(toRemote),
			signingSecret: isSigned ? input.secret : null,
			note: noteOf(
				isSigned,
				events.filter((event) => restricted.has(event)),
			),
		};
	} catch (error) {
		const ours = made.filter((hook) => !standing.some(({ id }) => id === hook.id));
		await Promise.allSettled(ours.map((hook) => deleteHook(http, access, hook.id)));
		throw error;
	}
}

/**
 * Netlify disables a hook after repeated failures, and destroys it on a 410: the first are enabled, the others made
 * again. `missing` when none is left.
 */
export async function checkHook(
	http: ProviderHttp,
	access: PlatformAccess,
	input: Registration & { hooks: readonly RemoteHook[] },
): Promise<HookCheck> {
	const standing = await readHooks(http, access);
	const isOurs = (hook: NetlifyHook) =>
		input.hooks.some(({ id }) => id === hook.id) ||
		events.some((event) => hook.data?.url === hookUrl(input.url, event));
	if (!standing.some(isOurs)) return { state: "missing" };
	const expected = input.hooks.flatMap(({ event }) => (event === null ? [] : [event]));
	const current: RemoteHook[] = [];
	let isRepaired = false;
	for (const event of expected) {
		const hook = standing.find((each) => each.event === event && isOurs(each));
		const isSound = hook !== undefined && !hook.disabled && hook.data?.url === hookUrl(input.url, event);
		isRepaired ||= !isSound || !input.hooks.some(({ id }) => id === hook.id);
		current.push(toRemote(isSound ? hook : await ensureHook(http, access, input, event, hook)));
	}
	return isRepaired ? { state: "repaired", hooks: current } : { state: "standing" };
}

/** All hooks of the site that call a URL; those that write mails or chat messages are nobody's to touch. */
export async function listHooks(http: ProviderHttp, access: PlatformAccess): Promise<RemoteHook[]> {
	return (await readHooks(http, access)).map(toRemote);
}

/** A hook that is gone already counts as deleted. */
export async function deleteHook(http: ProviderHttp, access: PlatformAccess, hookId: string): Promise<void> {
	try {
		await tell(http, access, { method: "DELETE", path: `/hooks/${encodeURIComponent(hookId)}` });
	} catch (error) {
		if (!isRefusal(error, "not_found")) throw error;
	}
}

/** Events that the account may subscribe to, and that then never come. Not every token may ask. */
async function restrictedEvents(http: ProviderHttp, access: PlatformAccess): Promise<Set<string>> {
	try {
		const call = { path: "/hooks/types", query: { site_id: access.target.id } };
		const types = await ask(http, access, call, isHookTypeList);
		return new Set(types.flatMap((type) => (type.name === "url" ? (type.restricted_events ?? []) : [])));
	} catch (error) {
		if (!isRefusal(error, "forbidden", "not_found", "unexpected_answer")) throw error;
		return new Set();
	}
}

async function readHooks(http: ProviderHttp, access: PlatformAccess): Promise<NetlifyHook[]> {
	const call = { path: "/hooks", query: { site_id: access.target.id } };
	return (await ask(http, access, call, isHookList)).filter((hook) => typeof hook.data?.url === "string");
}

function readHook(http: ProviderHttp, access: PlatformAccess, id: string): Promise<NetlifyHook> {
	return ask(http, access, { path: `/hooks/${encodeURIComponent(id)}` }, isHook);
}

/** Brings a hook to call our URL with our secret: the one that stands, else a new one. */
async function ensureHook(
	http: ProviderHttp,
	access: PlatformAccess,
	registration: Registration,
	event: string,
	standing: NetlifyHook | undefined,
): Promise<NetlifyHook> {
	const url = hookUrl(registration.url, event);
	const { secret } = registration;
	const data = { url, ...(secret === null ? {} : { signature_secret: secret }) };
	if (standing === undefined) {
		const site_id = access.target.id;
		// Netlify's own clients name the site in the query, others' in the body.
		const body = { site_id, type: "url", event, data };
		return ask(http, access, { method: "POST", path: "/hooks", query: { site_id }, body }, isHook);
	}
	const path = `/hooks/${encodeURIComponent(standing.id)}`;
	const updated = await ask(
		http,
		access,
		{ method: "PUT", path, body: { type: "url", event, data } },
		isHook,
	);
	if (!standing.disabled) return updated;
	return ask(http, access, { method: "POST", path: `${path}/enable` }, isHook);
}

/** The event stands in the URL because the header that names it is not covered by the signature. */
function hookUrl(url: string, event: string): string {
	const withEvent = new URL(url);
	withEvent.searchParams.set("event", event);
	return withEvent.href;
}

function toRemote(hook: NetlifyHook): RemoteHook {
	return { id: hook.id, url: hook.data?.url ?? "", event: hook.event ?? null };
}

function noteOf(isSigned: boolean, restricted: readonly string[]): string | null {
	const notes = [
		...(isSigned
			? []
			: [
					"Netlify does not show that it signs these hooks: the token in their URL alone authenticates them.",
				]),
		...(restricted.length === 0
			? []
			: [`This Netlify account gets no events of the type ${restricted.join(", ")}.`]),
	];
	return notes.length === 0 ? null : notes.join(" ");
}
