import type { Context } from "../context.ts";
import type { Integration } from "../integrations/integration.ts";
import { openCredentials } from "../integrations/integration-secrets.ts";
import { ProviderError } from "../providers/errors.ts";
import type { AuthProvider, ExternalUser, TouchedUser, UserChange } from "../providers/provider.ts";
import type { InboundWebhook } from "./inbound-webhook.ts";

/** What a webhook means for the users. `incomplete`: it names a user whose document is not to be had. */
export type Reading =
	| { kind: "change"; change: UserChange }
	| { kind: "unrelated" }
	| { kind: "unreadable" }
	| { kind: "incomplete"; state: "ignored" | "failed"; why: string };

type ReadWebhook = { webhook: InboundWebhook; reading: Reading };

type Input = {
	integration: Integration;
	provider: AuthProvider;
	webhooks: readonly InboundWebhook[];
	signal: AbortSignal;
};

/** A call each: what was read is to take effect before a crash makes them necessary again. */
const fetchesMax = 20;

/**
 * What the webhooks mean, in their order: of all of them, or of the first ones, at least of one. A user of whom a
 * webhook says only that something changed is read from the provider. Throws a ProviderError when that cannot be
 * done just now.
 */
export async function readChanges(ctx: Pick<Context, "log" | "vault">, input: Input): Promise<ReadWebhook[]> {
	const read: ReadWebhook[] = [];
	const fetched = new Map<string, Fetched>();
	for (const webhook of input.webhooks) {
		const meaning = interpret(ctx, input.provider, webhook);
		if (meaning.kind !== "touched") {
			read.push({ webhook, reading: meaning });
			continue;
		}
		if (fetched.size >= fetchesMax) break;
		const { userId } = meaning;
		try {
			const found = fetched.get(userId) ?? (await fetchUser(ctx, input, userId));
			fetched.set(userId, found);
			read.push({ webhook, reading: readingOf(meaning, found) });
		} catch (error) {
			// What was read so far is not held up by it: it is asked for again, and comes first then.
			if (read.length > 0 && error instanceof ProviderError) break;
			throw error;
		}
	}
	return read;
}

function interpret(
	ctx: Pick<Context, "log">,
	provider: AuthProvider,
	webhook: InboundWebhook,
): Reading | TouchedUser {
	try {
		const meaning = provider.interpret(webhook);
		if (meaning === null) return { kind: "unrelated" };
		return meaning.kind === "touched" ? meaning : { kind: "change", change: meaning };
	} catch (error) {
		ctx.log.error({ inbound_id: webhook.id, err: error }, "a stored webhook could not be interpreted");
		return { kind: "unreadable" };
	}
}

/** A user, or why there is none. */
type Fetched = ExternalUser | Extract<Reading, { kind: "incomplete" }>;

async function fetchUser(
	ctx: Pick<Context, "vault">,
	{ integration, provider, signal }: Input,
	userId: string,
): Promise<Fetched> {
	if (provider.fetchUser === null) {
		const why = `The event holds only the user's id, and ${provider.displayName} has no way to read one user.`;
		return { kind: "incomplete", state: "ignored", why };
	}
	if (integration.credentials === null) {
		const why = `The event holds only the user's id, and there are no credentials to read the user with.`;
		return { kind: "incomplete", state: "ignored", why };
	}
	const includePrivateMetadata = integration.config.includePrivateMetadata ?? false;
	try {
		const options = { includePrivateMetadata, signal };
		const user = await provider.fetchUser(openCredentials(ctx.vault, integration), userId, options);
		if (user !== null) return user;
		// Not taken for a deletion, which has an event of its own and a time that orders it.
		const why = `The event holds only the user's id, and ${provider.displayName} knows no such user any more.`;
		return { kind: "incomplete", state: "ignored", why };
	} catch (error) {
		if (!isRefusal(error)) throw error;
		const why = `The event holds only the user's id, and the user could not be read: ${error.message}`;
		return { kind: "incomplete", state: "failed", why };
	}
}

/** It would be refused again: waiting for it would hold up everything behind it. */
function isRefusal(error: unknown): error is ProviderError {
	return error instanceof ProviderError && error.reason !== "rate_limited" && error.reason !== "unavailable";
}

function readingOf(touched: TouchedUser, fetched: Fetched): Reading {
	if ("kind" in fetched) return fetched;
	const version = fetched.updatedAt ?? touched.version;
	return { kind: "change", change: { kind: "updated", user: fetched, version } };
}
