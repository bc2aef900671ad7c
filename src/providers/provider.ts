import type { TObject } from "@sinclair/typebox";

/** A provider's user in the shape of `capydb_auth.users`. `raw` is the provider's document, redacted. */
export type ExternalUser = {
	id: string;
	email: string | null;
	firstName: string | null;
	lastName: string | null;
	username: string | null;
	imageUrl: string | null;
	createdAt: Date | null;
	updatedAt: Date | null;
	lastSignInAt: Date | null;
	raw: Record<string, unknown>;
};

/** What a webhook, or a page of a backfill, says of one user. `version` orders changes to one user. */
export type UserChange =
	| { kind: "created" | "updated"; user: ExternalUser; version: Date }
	| { kind: "deleted"; userId: string; version: Date };

/** A user of whom an event says only that something changed: the document is to be fetched. */
export type TouchedUser = { kind: "touched"; userId: string; version: Date };

/**
 * Secrets of one integration; each provider says which keys it uses. Where a provider is called,
 * `webhook_signing_secret` is the newest signing secret, if there is one.
 */
export type Credentials = Record<string, string>;

/** The parts of `integrations.config` that a provider reads when it interprets a document. */
export type InterpretOptions = { includePrivateMetadata: boolean };

export type WebhookHeaders = Record<string, string | string[] | undefined>;

export type WebhookVerdict = "genuine" | "missing_signature" | "bad_signature" | "stale" | "malformed";

/** A verified webhook, read far enough to store it. */
export type InboundEvent = {
	/** The provider's own id, or one derived from the content; the same for every retry of one event. */
	providerEventId: string;
	type: string;
	/** The provider's instance (Clerk `instance_id`, Auth0 tenant), where the event carries it. */
	instance: string | null;
	occurredAt: Date | null;
	/** The document to keep, already without the parts that must never be stored. */
	document: Record<string, unknown>;
};

/** One page of a backfill. `cursor` is what the next call takes; null at the end. */
export type UserPage = { users: ExternalUser[]; cursor: string | null };

/** An auth provider: mirrors its users into the project's own database. */
export type AuthProvider = {
	kind: "auth";
	id: string;
	/** As it stands in a path; the stored id is always `id`. */
	pathNames: readonly string[];
	displayName: string;
	/** Body of `POST …/{provider}/connect`; null where there is no connect route. */
	connectBody: TObject | null;
	/** Keys that `credentials` of a PUT may hold. */
	credentialKeys: readonly string[];
	/** Checks credentials at the provider (at most 10 s). Throws ProviderError. */
	identify(credentials: Credentials): Promise<{ externalId: string | null }>;
	/** Judges the signature over the raw bytes. `secrets` are the live signing secrets, newest first. */
	verifyWebhook(input: {
		rawBody: Buffer;
		headers: WebhookHeaders;
		secrets: readonly string[];
		now: Date;
	}): WebhookVerdict;
	/**
	 * The provider sends nothing again after a 4xx. So a webhook that comes before there is a secret is answered
	 * with a 503, and a secret that was replaced stays good for an hour.
	 */
	refusalsAreFinal: boolean;
	/** Reads the events of a genuine webhook, at least one; null when the body is not what the provider sends. */
	readWebhook(rawBody: Buffer, headers: WebhookHeaders, options: InterpretOptions): InboundEvent[] | null;
	/** What a stored document means for `capydb_auth.users`; null when it is about something else. */
	interpret(event: Pick<InboundEvent, "type" | "document" | "occurredAt">): UserChange | TouchedUser | null;
	/** Ids are never given out twice, so a deleted user stays deleted whatever arrives later. */
	deletesAreFinal: boolean;
	/** One page of all users in a stable order, `pageSize` users at most; null where there is no backfill. */
	listUsers:
		| ((
				credentials: Credentials,
				cursor: string | null,
				options: InterpretOptions & { signal: AbortSignal },
		  ) => Promise<UserPage>)
		| null;
	/** How old the list may be: whoever was made so shortly before it was read may be missing in it. */
	listLagMs: number;
	/** How many users there are; null where the provider does not say. */
	countUsers: ((credentials: Credentials, signal: AbortSignal) => Promise<number>) | null;
	/**
	 * A touched user as it is now; the promise gives null when the provider knows none of that id. Null where no
	 * event is without its document.
	 */
	fetchUser:
		| ((
				credentials: Credentials,
				userId: string,
				options: InterpretOptions & { signal: AbortSignal },
		  ) => Promise<ExternalUser | null>)
		| null;
};
