import { AppError } from "../core/errors.ts";
import { elementSources, memberSource } from "../events/json-source.ts";

/** An event as the API lists it. `payload` is the envelope's own bytes, null once it was erased. */
export type ListedEvent = { id: string; type: string; payload: string | null; createdAtMs: number };

export type Api = {
	/** The body of an answer. Throws what `isAway` knows, and the server's own sentence for a refusal. */
	get(path: string): Promise<string>;
};

/** The server cannot be reached, or has too much to do: it may be better in a moment. */
export function isAway(error: unknown): error is AppError {
	return error instanceof AppError && error.kind === "unavailable";
}

const timeoutMs = 15_000;
const pageRows = 100;
/** Replicas name events by their own clocks, and commit them in any order: so far back it looks again. */
const lookBackMs = 15_000;

/** Our API as one of its callers. */
export function createApi({ url, key, signal }: { url: string; key: string; signal: AbortSignal }): Api {
	return {
		get: async (path) => {
			const { status, text } = await request(`${url}${path}`, key, signal);
			if (status === 200) return text;
			if (status === 429 || status >= 500) throw away(`The server at ${url} answers ${status}.`);
			throw new AppError("forbidden", "api.refused", `The server answers ${status}: ${sentenceIn(text)}`);
		},
	};
}

async function request(
	url: string,
	key: string,
	signal: AbortSignal,
): Promise<{ status: number; text: string }> {
	try {
		const response = await fetch(url, {
			headers: { authorization: `Bearer ${key}` },
			redirect: "manual",
			signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
		});
		return { status: response.status, text: await response.text() };
	} catch (cause) {
		throw away(`The server at ${new URL(url).origin} cannot be reached.`, cause);
	}
}

function away(sentence: string, cause?: unknown): AppError {
	return new AppError("unavailable", "api.away", sentence, { cause });
}

function sentenceIn(text: string): string {
	try {
		const { error } = JSON.parse(text);
		if (typeof error === "string") return error;
	} catch {
		// Another server than ours.
	}
	return "it is not this API, or --url lacks its prefix.";
}

/**
 * Reads an organization's events as they come: the first call finds where to begin and returns none, each further one
 * returns those that are new since the last, oldest first, each once.
 */
export function createEventFeed(api: Api, organizationId: string): { next(): Promise<ListedEvent[]> } {
	const seen = new Map<string, number>();
	let horizonMs: number | null = null;
	return {
		next: async () => {
			const isFirst = horizonMs === null;
			const listed = await listSince(api, organizationId, horizonMs);
			const fresh = listed.filter(({ id }) => !seen.has(id));
			for (const { id, createdAtMs } of fresh) seen.set(id, createdAtMs);
			const newestMs = Math.max(0, ...seen.values());
			horizonMs = newestMs - lookBackMs;
			for (const [id, createdAtMs] of seen) if (createdAtMs < horizonMs) seen.delete(id);
			return isFirst ? [] : fresh.reverse();
		},
	};
}

/** Newest first, back to that time, or to that long before the newest. */
async function listSince(api: Api, organizationId: string, horizonMs: number | null): Promise<ListedEvent[]> {
	const listed: ListedEvent[] = [];
	let fromMs = horizonMs;
	let cursor: string | null = null;
	do {
		const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
		const path = `/v1/organizations/${encodeURIComponent(organizationId)}/events?limit=${pageRows}${query}`;
		const text = await api.get(path);
		const rows = elementSources(memberSource(text, "events") ?? "[]").map(readEvent);
		fromMs ??= (rows[0]?.createdAtMs ?? 0) - lookBackMs;
		const near = rows.filter(({ createdAtMs }) => createdAtMs >= (fromMs ?? 0));
		listed.push(...near);
		const isBehind = near.length < rows.length;
		cursor = isBehind ? null : JSON.parse(memberSource(text, "next_cursor") ?? "null");
	} while (cursor !== null);
	return listed;
}

function readEvent(source: string): ListedEvent {
	const { id, type, created_at: createdAt } = JSON.parse(source);
	const payload = memberSource(source, "payload") ?? "null";
	return { id, type, payload: payload === "null" ? null : payload, createdAtMs: Date.parse(createdAt) };
}
