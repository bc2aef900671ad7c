import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { isId, newId } from "../core/ids.ts";
import { signedHeaders, signingKeys } from "../deliveries/engine/sign.ts";
import { filtersMatching, operationalTypes } from "../events/event-types.ts";
import { type Command, type Given, UsageError } from "./command.ts";
import { type Api, createApi, createEventFeed, isAway, type ListedEvent } from "./event-feed.ts";

type Forwarded = { outcome: string; isTaken: boolean; durationMs: number };

const pollMs = 1_000;
const timeoutMs = 15_000;
/** Sent to an endpoint only when it names them, or by its own test. */
const unasked = [...operationalTypes, "webhook.test"];

export const listenCommand: Command = {
	summary: "forwards an organization's new events to a local URL, for developing",
	details:
		"It asks the API with a key of the scope `organizations:read`, and needs no database. Each event is posted once, with\n" +
		"the bytes and headers of a delivery, signed with --secret. It goes on until Ctrl-C; JSON is one object a line.",
	options: {
		to: { value: "url", help: "where to post, such as http://localhost:4000/hooks", isRequired: true },
		key: { value: "capy_live_…", help: "an API key", isRequired: true, isSecret: true },
		url: { value: "url", help: "the server (http://127.0.0.1:3000)" },
		organization: { value: "org_…", help: "default: that of the key" },
		type: { value: "type", help: "only these, as an endpoint's event_types; default: all", isRepeated: true },
		secret: { value: "whsec_…", help: "to sign with; default: one that it makes and prints", isSecret: true },
	},
	run: async (given, surroundings) => {
		const signal = surroundings.whenEnded();
		const to = readUrl("to", given.required("to"));
		const api = createApi({
			url: readUrl("url", given.text("url") ?? "http://127.0.0.1:3000"),
			key: given.required("key"),
			signal,
		});
		const organization = await chooseOrganization(api, given);
		const secret = given.text("secret") ?? `whsec_${randomBytes(32).toString("base64")}`;
		const feed = createEventFeed(api, organization);
		await feed.next();
		surroundings.warn(`Forwarding new events of ${organization} to ${to}, signed with ${secret}`);
		const counts = { forwarded: 0, failed: 0 };
		let wasAway = false;
		while (!signal.aborted) {
			const events = await feed.next().catch((error: unknown) => {
				if (!isAway(error)) throw error;
				if (!wasAway && !signal.aborted) surroundings.warn(`${error.message} Trying again.`);
				return null;
			});
			wasAway = events === null;
			for (const event of (events ?? []).filter((each) => isWanted(each, given.list("type")))) {
				if (signal.aborted) break;
				const forwarded = await forward(event, { to, secret, signal });
				counts[forwarded.isTaken ? "forwarded" : "failed"] += 1;
				surroundings.tell(given.flag("json") ? jsonOf(event, forwarded) : lineOf(event, forwarded));
			}
			await pause(pollMs, undefined, { signal }).catch(() => undefined);
		}
		return { text: `Forwarded ${counts.forwarded}, failed ${counts.failed}.`, json: counts };
	},
};

function readUrl(option: string, text: string): string {
	const isHttp = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
	if (!isHttp) throw new UsageError(`\`--${option}\` must be a URL, such as http://localhost:4000.`);
	return text.replace(/\/$/, "");
}

async function chooseOrganization(api: Api, given: Given): Promise<string> {
	const named = given.text("organization");
	if (named !== undefined) return named;
	const { principal } = JSON.parse(await api.get("/v1/me"));
	if (isId("org", principal.organization_id ?? "")) return principal.organization_id;
	throw new UsageError("`--organization` is required: this key belongs to none.");
}

function isWanted({ type, payload }: ListedEvent, wanted: readonly string[]): boolean {
	if (payload === null) return false;
	if (wanted.length === 0) return !unasked.includes(type);
	const filters = unasked.includes(type) ? [type] : filtersMatching(type);
	return filters.some((filter) => wanted.includes(filter));
}

async function forward(
	{ id, type, payload }: ListedEvent,
	{ to, secret, signal }: { to: string; secret: string; signal: AbortSignal },
): Promise<Forwarded> {
	const body = Buffer.from(payload ?? "");
	const named = { eventId: id, eventType: type, deliveryId: newId("whd") };
	const startedAt = performance.now();
	const durationMs = () => Math.round(performance.now() - startedAt);
	try {
		const { status } = await fetch(to, {
			method: "POST",
			headers: signedHeaders({ ...named, body, keys: [signingKeys(secret)], at: new Date() }),
			body,
			redirect: "manual",
			signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
		});
		return { outcome: String(status), isTaken: status >= 200 && status < 300, durationMs: durationMs() };
	} catch (error) {
		return { outcome: reasonOf(error), isTaken: false, durationMs: durationMs() };
	}
}

function reasonOf(error: unknown): string {
	if (!(error instanceof Error)) return "failed";
	if (error.name === "TimeoutError") return "timeout";
	const { cause } = error;
	return cause instanceof Error && "code" in cause ? String(cause.code) : error.message;
}

function lineOf({ id, type }: ListedEvent, { outcome, durationMs }: Forwarded): string {
	return `${id} ${type}: ${outcome} in ${durationMs} ms`;
}

function jsonOf({ id, type }: ListedEvent, { outcome, isTaken, durationMs }: Forwarded): string {
	return JSON.stringify({ event_id: id, type, outcome, taken: isTaken, duration_ms: durationMs });
}
