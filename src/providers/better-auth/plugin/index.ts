import type { BetterAuthPlugin } from "better-auth";
import { exportPath, exportUsersEndpoint } from "./export-users.ts";
import { createOutbox, type Outbox } from "./outbox.ts";
import { isSecret } from "./signing.ts";
import { chosenFields } from "./user-fields.ts";

export type CapyDbOptions = {
	/** `config.webhook_receiver` of the integration. */
	webhookUrl: string | undefined;
	/** The integration's signing secret, `whsec_…`. */
	secret: string | undefined;
	/** Fields of the user model to send beside id, names, e-mail address, image and times. */
	fields?: readonly string[];
	/** For one try to send. Default 5,000. */
	timeoutMs?: number;
	/** Waits after failures in a row, the last one for ever. Default 1 s, 5 s, 30 s, 2 min, 10 min. */
	retryDelaysMs?: readonly number[];
};

type EventType = "user.created" | "user.updated" | "user.deleted";
type User = Record<string, unknown> & { id: string };

/**
 * Better Auth plugin: tells a CapyDB project of each user that is created, updated or deleted, and lets it export
 * all. Database hooks see every way in which the library writes a user. Nothing here fails or delays a call of the
 * application: what cannot be sent is tried again later, and what is lost with the process comes by the export.
 */
export function capydb(options: CapyDbOptions) {
	const { webhookUrl, secret, fields = [] } = options;
	const isConfigured = isUrl(webhookUrl) && secret !== undefined && isSecret(secret);
	return {
		id: "capydb",
		init(context) {
			const say = (sentence: string) => context.logger.warn(`[capydb] ${sentence}`);
			if (!isConfigured) {
				// A build may load the application without its variables: that must not end it.
				context.logger.error("[capydb] webhookUrl or secret is missing or wrong: no users are mirrored.");
				return;
			}
			const outbox = createOutbox({
				url: webhookUrl,
				secret,
				timeoutMs: options.timeoutMs ?? 5_000,
				retryDelaysMs: options.retryDelaysMs ?? [1_000, 5_000, 30_000, 120_000, 600_000],
				say,
			});
			const announce = (type: EventType, user: unknown): void => {
				try {
					announceUser(outbox, type, user, fields);
					context.runInBackground(outbox.drain());
				} catch (error) {
					say(`A change of a user could not be announced: ${String(error)}`);
				}
			};
			return { options: { databaseHooks: { user: userHooks(announce) } } };
		},
		endpoints: { exportCapydbUsers: exportUsersEndpoint(isConfigured ? [secret] : [], fields) },
		rateLimit: [{ window: 10, max: 1_000, pathMatcher: (path) => path === exportPath }],
	} satisfies BetterAuthPlugin;
}

/** None waits for what it starts: Better Auth's answer to its caller would wait as well. */
function userHooks(announce: (type: EventType, user: unknown) => void) {
	return {
		create: { after: async (user: unknown) => announce("user.created", user) },
		update: { after: async (user: unknown) => announce("user.updated", user) },
		delete: { after: async (user: unknown) => announce("user.deleted", user) },
	};
}

function announceUser(outbox: Outbox, type: EventType, user: unknown, fields: readonly string[]): void {
	// After an update of many users at once Better Auth gives a number, or nothing.
	if (!isUser(user)) return;
	const timestamp = latest(new Date(), user.updatedAt).toISOString();
	const data = type === "user.deleted" ? { id: user.id, deleted: true } : chosenFields(user, fields);
	const body = JSON.stringify({ type, timestamp, data });
	outbox.add({ id: `msg_${crypto.randomUUID()}`, userId: user.id, body });
}

/** This server's clock may be behind that of another one which changed the user last. */
function latest(now: Date, updatedAt: unknown): Date {
	return updatedAt instanceof Date && updatedAt > now ? updatedAt : now;
}

function isUser(value: unknown): value is User {
	return typeof value === "object" && value !== null && "id" in value && typeof value.id === "string";
}

function isUrl(text: string | undefined): text is string {
	return text !== undefined && /^https?:\/\//.test(text) && URL.canParse(text);
}
