import { createHash, createHmac } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { type NetlifyDeploy, netlifyDeploy, netlifyEvents } from "../../fixtures/netlify/deploys.ts";
import { type Answer, isKnownEvent, type NetlifyHook, type NetlifyState, newId, refusal } from "./state.ts";

/** More failures in a row than this, and Netlify says nothing more to that hook until it is enabled again. */
const failuresMax = 5;
const attemptsMax = 6;

/** One attempt to deliver, and what the receiver answered; null when it could not be reached. */
export type NetlifyDelivery = { hookId: string; event: string; deployId: string; status: number | null };

export type HookService = ReturnType<typeof createHookService>;

/**
 * Delivers events as Netlify does: the deploy itself as the body, the event's name in a header that is not
 * signed. 2xx clears the count of failures, 410 destroys the hook, 403 and 404 are not retried, every other
 * answer is; too many failures in a row disable the hook.
 */
export function createHookService(state: NetlifyState, retryDelayMs: number) {
	const failures = new Map<string, number>();
	const deliveries: NetlifyDelivery[] = [];
	const underWay = new Set<Promise<void>>();
	let heldBack: (() => Promise<void>)[] | null = null;

	function send(hook: NetlifyHook, event: string, deploy: NetlifyDeploy): void {
		const message = signedDelivery(event, deploy, hook.data.signature_secret);
		const run = () => attempt(hook.id, hook.data.url, event, deploy.id, message);
		if (heldBack === null) track(run());
		else heldBack.push(run);
	}

	function track(delivery: Promise<void>): void {
		underWay.add(delivery);
		void delivery.finally(() => underWay.delete(delivery));
	}

	async function attempt(hookId: string, url: string, event: string, deployId: string, message: Message) {
		for (let number = 1; number <= attemptsMax; number += 1) {
			const hook = state.hooks.get(hookId);
			if (hook === undefined || hook.disabled) return;
			const status = await post(url, message);
			deliveries.push({ hookId, event, deployId, status });
			if (settles(hookId, status)) return;
			await wait(retryDelayMs);
		}
	}

	/** Whether that answer ends the delivery. */
	function settles(hookId: string, status: number | null): boolean {
		if (status !== null && status >= 200 && status < 300) {
			failures.delete(hookId);
			return true;
		}
		if (status === 410) {
			state.hooks.delete(hookId);
			return true;
		}
		const count = (failures.get(hookId) ?? 0) + 1;
		failures.set(hookId, count);
		const hook = state.hooks.get(hookId);
		if (hook !== undefined && count > failuresMax) hook.disabled = true;
		return status === 403 || status === 404;
	}

	return {
		deliveries,
		/** Sends the event to each hook of the deploy's site that waits for it. */
		emit(event: string, deploy: NetlifyDeploy): void {
			if (state.quirks.restrictedEvents.includes(event)) return;
			for (const hook of state.hooks.values()) {
				if (hook.site_id === deploy.site_id && hook.event === event && !hook.disabled)
					send(hook, event, deploy);
			}
		},
		/** Sends one event to one hook, and waits for the end of its attempts. */
		async sendTo(hook: NetlifyHook, event: string, deploy: NetlifyDeploy): Promise<void> {
			const message = signedDelivery(event, deploy, hook.data.signature_secret);
			await attempt(hook.id, hook.data.url, event, deploy.id, message);
		},
		clearFailures: (hookId: string): void => void failures.delete(hookId),
		/** Keeps deliveries back until `release`, which sends them in the order that `order` gives them. */
		holdDeliveries(): { release: (order?: "same" | "reversed", times?: number) => Promise<void> } {
			const held: (() => Promise<void>)[] = [];
			heldBack = held;
			return {
				async release(order = "same", times = 1) {
					heldBack = null;
					const repeated = Array.from({ length: times }, () => held).flat();
					for (const run of order === "same" ? repeated : repeated.toReversed()) await run();
				},
			};
		},
		/** Resolves when no delivery is under way any more. */
		async idle(): Promise<void> {
			while (underWay.size > 0) await Promise.all(underWay);
		},
	};
}

type Message = { headers: Record<string, string>; body: string };

/** A delivery as Netlify sends it: HS256 JWS of the issuer and the digest of the exact body, or no signature. */
export function signedDelivery(event: string, deploy: object, secret?: string): Message {
	const body = JSON.stringify(deploy);
	const headers = { "content-type": "application/json", "x-netlify-event": event };
	if (secret === undefined) return { headers, body };
	return { headers: { ...headers, "x-webhook-signature": signBody(body, secret) }, body };
}

/** The signature with other claims or another algorithm, for a receiver that should refuse them. */
export function signBody(
	body: string,
	secret: string,
	forged: { claims?: Record<string, unknown>; header?: Record<string, unknown> } = {},
): string {
	const digest = createHash("sha256").update(body).digest("hex");
	const header = encode({ alg: "HS256", typ: "JWT", ...forged.header });
	const claims = encode({ iss: "netlify", sha256: digest, ...forged.claims });
	return `${header}.${claims}.${createHmac("sha256", secret).update(`${header}.${claims}`).digest("base64url")}`;
}

function encode(part: object): string {
	return Buffer.from(JSON.stringify(part)).toString("base64url");
}

async function post(url: string, message: Message): Promise<number | null> {
	try {
		const response = await fetch(url, { method: "POST", ...message, redirect: "manual" });
		await response.arrayBuffer();
		return response.status;
	} catch {
		return null;
	}
}

export type HookRequest = {
	method: string;
	/** What follows `/hooks`, split at its slashes. */
	rest: string[];
	query: Record<string, string>;
	body: unknown;
	/** Whether the token may see, and change, that site. */
	allows: (siteId: string) => "no" | "read" | "write";
};

/** The calls below `/hooks`. */
export async function answerHooks(
	state: NetlifyState,
	service: HookService,
	request: HookRequest,
): Promise<Answer> {
	const [id, action] = request.rest;
	if (id === undefined) return answerCollection(state, service, request);
	if (id === "types") return hookTypes(state, request);
	const hook = state.hooks.get(id);
	const right = hook === undefined ? "no" : request.allows(hook.site_id);
	if (hook === undefined || right === "no") return refusal(404, "Not Found");
	if (request.method === "GET") return { status: 200, body: shown(state, hook) };
	if (right === "read") return refusal(403, "Forbidden");
	if (action === "enable" && request.method === "POST") {
		hook.disabled = false;
		service.clearFailures(hook.id);
		return { status: 200, body: shown(state, hook) };
	}
	if (request.method === "DELETE") {
		state.hooks.delete(hook.id);
		return { status: 204 };
	}
	if (request.method !== "PUT" || action !== undefined) return refusal(405, "Method Not Allowed");
	const read = readHook(state, request.body, hook.site_id, hook);
	if ("status" in read) return read;
	state.hooks.set(hook.id, read);
	return { status: 200, body: shown(state, read) };
}

async function answerCollection(
	state: NetlifyState,
	service: HookService,
	request: HookRequest,
): Promise<Answer> {
	const siteId = request.query.site_id;
	if (siteId === undefined) return refusal(422, "site_id must be provided");
	const right = request.allows(siteId);
	if (right === "no") return refusal(404, "Not Found");
	if (request.method === "GET") {
		const hooks = [...state.hooks.values()].filter((hook) => hook.site_id === siteId);
		return { status: 200, body: hooks.map((hook) => shown(state, hook)) };
	}
	if (request.method !== "POST") return refusal(405, "Method Not Allowed");
	if (right === "read") return refusal(403, "Forbidden");
	const hook = readHook(state, request.body, siteId, null);
	if ("status" in hook) return hook;
	state.hooks.set(hook.id, hook);
	if (state.quirks.sendsBeforeAnswer) {
		const deploy = netlifyDeploy({ id: newId(), site_id: siteId, updated_at: new Date().toISOString() });
		await service.sendTo(hook, hook.event, deploy);
	}
	return { status: 201, body: shown(state, hook) };
}

function hookTypes(state: NetlifyState, request: HookRequest): Answer {
	if (request.method !== "GET") return refusal(405, "Method Not Allowed");
	const siteId = request.query.site_id;
	if (siteId !== undefined && request.allows(siteId) === "no") return refusal(404, "Not Found");
	const restricted = siteId === undefined ? {} : { restricted_events: state.quirks.restrictedEvents };
	return { status: 200, body: [{ name: "url", events: [...netlifyEvents], fields: [], ...restricted }] };
}

function shown(state: NetlifyState, hook: NetlifyHook): NetlifyHook {
	return state.quirks.hooksShowSecret ? hook : { ...hook, data: { url: hook.data.url } };
}

function readHook(
	state: NetlifyState,
	body: unknown,
	siteId: string,
	previous: NetlifyHook | null,
): NetlifyHook | Answer {
	if (typeof body !== "object" || body === null) return refusal(422, "hook must be an object");
	const { type = previous?.type, event = previous?.event, data } = body as Record<string, unknown>;
	if (type !== "url") return refusal(422, "type is not known");
	if (typeof event !== "string" || !isKnownEvent(event))
		return refusal(422, "event is not included in the list");
	const { url, signature_secret: secret } = (data ?? {}) as Record<string, unknown>;
	if (typeof url !== "string" || !/^https?:\/\/[^\s]+$/.test(url)) return refusal(422, "url is invalid");
	const rival = [...state.hooks.values()].find(
		(hook) => hook.site_id === siteId && hook.event === event && hook.data.url === url,
	);
	if (rival !== undefined && rival.id !== previous?.id)
		return refusal(422, "a hook for this site, event and url already exists");
	const now = new Date().toISOString();
	const keptSecret = typeof secret === "string" && state.quirks.hooksKeepSecret ? secret : undefined;
	return {
		id: previous?.id ?? newId(),
		site_id: siteId,
		type,
		event,
		data: { url, ...(keptSecret === undefined ? {} : { signature_secret: keptSecret }) },
		created_at: previous?.created_at ?? now,
		updated_at: now,
		disabled: previous?.disabled ?? false,
	};
}
