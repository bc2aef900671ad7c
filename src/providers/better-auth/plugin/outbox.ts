import { sign } from "./signing.ts";

export type Message = {
	id: string;
	/** Whom it is about: one's changes are sent one after the other, for they may be of the same millisecond. */
	userId: string;
	body: string;
};

export type Outbox = {
	/** Adds a message. When there is no room the oldest goes: the export brings its user. */
	add(message: Message): void;
	/** Sends what waits. Ends when nothing waits any more or the receiver wants a pause; never rejects. */
	drain(): Promise<void>;
};

export type OutboxOptions = {
	url: string;
	secret: string;
	timeoutMs: number;
	/** The waits after failures in a row; the last one goes on for ever. */
	retryDelaysMs: readonly number[];
	say: (sentence: string) => void;
};

const messagesMax = 10_000;
const inFlightMax = 8;
/** Answers to which the same bytes would always lead: bad request, too large, unsupported, unprocessable. */
const finalStatuses = new Set([400, 413, 415, 422]);

/**
 * Messages on their way to one receiver, in memory. What fails is tried again, with the same id and bytes and a
 * fresh time; while the receiver is away one try in a while asks for all.
 */
export function createOutbox(options: OutboxOptions): Outbox {
	let waiting: Message[] = [];
	let draining: Promise<void> | null = null;
	let failures = 0;
	/** Asked as well as the timer: a platform that freezes the process between requests freezes timers too. */
	let resumesAt = 0;
	let timer: ReturnType<typeof setTimeout> | undefined;

	const send = async (): Promise<void> => {
		while (waiting.length > 0) {
			// One asks whether the receiver is back.
			const batch = nextOf(waiting, failures > 0 ? 1 : inFlightMax);
			const outcomes = await Promise.all(batch.map((message) => attempt(options, message)));
			const settled = new Set(batch.filter((_, at) => outcomes[at] !== "later"));
			waiting = waiting.filter((message) => !settled.has(message));
			if (settled.size < batch.length) return pause();
			failures = 0;
		}
	};

	const pause = (): void => {
		const { retryDelaysMs } = options;
		const delayMs = retryDelaysMs[Math.min(failures, retryDelaysMs.length - 1)] ?? 0;
		const waitMs = delayMs * (0.8 + 0.4 * Math.random());
		failures += 1;
		resumesAt = Date.now() + waitMs;
		options.say(`${waiting.length} changes of users wait: the receiver did not take them.`);
		clearTimeout(timer);
		timer = setTimeout(resume, waitMs);
		letGo(timer);
	};

	const resume = (): void => {
		// A timer may fire a little before the clock says so.
		resumesAt = 0;
		void drain();
	};

	const drain = (): Promise<void> => {
		if (draining === null && Date.now() < resumesAt) return Promise.resolve();
		draining ??= send()
			.catch((error: unknown) => options.say(`Changes of users were not sent: ${String(error)}`))
			.finally(() => {
				draining = null;
			});
		return draining;
	};

	return {
		add(message) {
			if (waiting.length >= messagesMax) {
				waiting = waiting.slice(1);
				options.say("A change of a user was dropped: too many wait. Sync the integration.");
			}
			waiting.push(message);
		},
		drain,
	};
}

/** The first messages, one of a user. */
function nextOf(waiting: readonly Message[], countMax: number): Message[] {
	const byUser = new Map<string, Message>();
	for (const message of waiting) {
		if (byUser.size === countMax) break;
		if (!byUser.has(message.userId)) byUser.set(message.userId, message);
	}
	return [...byUser.values()];
}

/** A program that is done is not kept alive by it. Edge runtimes have numbers for timers, and need no such word. */
function letGo(timer: unknown): void {
	if (typeof timer !== "object" || timer === null || !("unref" in timer)) return;
	if (typeof timer.unref === "function") timer.unref();
}

async function attempt(
	{ url, secret, timeoutMs, say }: OutboxOptions,
	message: Message,
): Promise<"taken" | "refused" | "later"> {
	try {
		const signed = await sign(secret, { ...message, now: new Date() });
		const response = await fetch(url, {
			method: "POST",
			headers: { "content-type": "application/json", ...signed },
			body: message.body,
			redirect: "manual",
			signal: AbortSignal.timeout(timeoutMs),
		});
		await response.body?.cancel();
		if (response.ok) return "taken";
		if (!finalStatuses.has(response.status)) return "later";
		say(`A change of a user was refused with status ${response.status} (${message.id}).`);
		return "refused";
	} catch {
		return "later";
	}
}
