import { createHmac } from "node:crypto";
import { inspectorUrl, urlOf } from "./documents.ts";
import { type FakeDeployment, type FakeHook, moment, newId, type SentEvent, type State } from "./state.ts";

export type FakeEvent = {
	id: string;
	type: string;
	createdAt: number;
	payload: { project: { id: string } } & Record<string, unknown>;
};

export type DeliverHow = {
	/** How often each event is sent to each hook; 1. */
	times?: number;
	/** In an order of chance, as parallel senders make it. */
	shuffled?: boolean;
};

/** Brings a deployment into a state, and says what event that is. */
export function finishDeployment(
	state: State,
	deployment: FakeDeployment,
	outcome: "ready" | "succeeded" | "error" | "canceled" | "promoted",
): FakeEvent {
	const states = {
		ready: "READY",
		succeeded: "READY",
		error: "ERROR",
		canceled: "CANCELED",
		promoted: "READY",
	} as const;
	deployment.state = states[outcome];
	deployment.finishedAt ??= moment(state);
	deployment.errorCode = outcome === "error" ? "BUILD_FAILED" : null;
	deployment.isPromoted = outcome === "promoted";
	return deploymentEvent(state, `deployment.${outcome}`, deployment);
}

/** The envelope of a deployment event, as Vercel builds it. `promoted` carries no target. */
export function deploymentEvent(state: State, type: string, deployment: FakeDeployment): FakeEvent {
	const { id, name, projectId, meta, target, accountId, customEnvironmentId } = deployment;
	const url = urlOf(deployment);
	return {
		id: newId("evt").slice(4),
		type,
		createdAt: moment(state),
		payload: {
			team: { id: state.teams.has(accountId) ? accountId : null },
			user: { id: state.userId },
			project: { id: projectId },
			deployment: { id, name, url, meta, inspectorUrl: inspectorUrl(deployment), customEnvironmentId },
			links: { deployment: inspectorUrl(deployment), project: `https://vercel.com/acme/${name}` },
			...(type === "deployment.promoted" ? {} : { target }),
			...(type === "deployment.created" ? { alias: [url] } : {}),
			name,
			plan: "pro",
			regions: ["iad1"],
			type: "LAMBDAS",
			url,
		},
	};
}

/** The bytes and headers of one delivery. */
export function signedDelivery(secret: string, event: object) {
	const body = JSON.stringify(event);
	const headers = { "content-type": "application/json", "x-vercel-signature": signatureOf(secret, body) };
	return { headers, body };
}

/**
 * Sends events to every hook that listens to them, each try a request of its own. Nothing is tried again by itself:
 * Vercel's pauses are hours.
 */
export async function deliver(
	state: State,
	events: readonly FakeEvent[],
	{ times = 1, shuffled = false }: DeliverHow = {},
): Promise<SentEvent[]> {
	const due = events.flatMap((event) =>
		[...state.hooks.values()]
			.filter((hook) => hears(hook, event) && !state.mutedHooks.has(hook.id))
			.flatMap((hook) => Array.from({ length: times }, () => ({ hook, event }))),
	);
	if (shuffled) {
		const order = new Map(due.map((each) => [each, Math.random()]));
		due.sort((left, right) => (order.get(left) ?? 0) - (order.get(right) ?? 0));
		return Promise.all(due.map(({ hook, event }) => send(state, hook, event)));
	}
	const sent: SentEvent[] = [];
	for (const { hook, event } of due) sent.push(await send(state, hook, event));
	return sent;
}

export function send(state: State, hook: FakeHook, event: FakeEvent): Promise<SentEvent> {
	return post(state, hook, event.type, JSON.stringify(event));
}

/** Tries once more what was not answered with a 2xx, as Vercel does for a day; a hook that is gone gets nothing. */
export async function retryFailed(state: State): Promise<SentEvent[]> {
	const failed = state.sent.filter(({ status, isRetried }) => !isRetried && !(status && status < 300));
	const again: SentEvent[] = [];
	for (const sent of failed) {
		const hook = state.hooks.get(sent.hookId);
		sent.isRetried = true;
		if (hook !== undefined) again.push(await post(state, hook, sent.type, sent.body));
	}
	return again;
}

async function post(state: State, hook: FakeHook, type: string, body: string): Promise<SentEvent> {
	const sent: SentEvent = { hookId: hook.id, type, body, status: null, isRetried: false };
	state.sent.push(sent);
	try {
		const headers = {
			"content-type": "application/json",
			"x-vercel-signature": signatureOf(hook.secret, body),
		};
		const signal = AbortSignal.timeout(30_000);
		const response = await fetch(hook.url, { method: "POST", headers, body, signal, redirect: "manual" });
		await response.arrayBuffer();
		sent.status = response.status;
	} catch {
		// Nobody answered: `status` stays null.
	}
	return sent;
}

function signatureOf(secret: string, body: string): string {
	return createHmac("sha1", secret).update(body).digest("hex");
}

function hears(hook: FakeHook, event: FakeEvent): boolean {
	const { projectIds } = hook;
	return hook.events.includes(event.type) && (projectIds?.includes(event.payload.project.id) ?? true);
}
