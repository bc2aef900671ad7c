import type { IncomingHttpHeaders } from "node:http";
import { type NetlifyDeploy, netlifyEvents } from "../../fixtures/netlify/deploys.ts";

export type NetlifySite = { id: string; name: string; accountId: string; repository: string };

export type NetlifyHook = {
	id: string;
	site_id: string;
	type: string;
	event: string;
	data: { url: string; signature_secret?: string };
	created_at: string;
	updated_at: string;
	disabled: boolean;
};

export type EnvValue = { id: string; value: string; context: string; context_parameter?: string };

export type EnvVariable = {
	key: string;
	scopes: string[];
	values: EnvValue[];
	is_secret: boolean;
	updated_at: string;
};

export type Answer = { status: number; body?: unknown; headers?: Record<string, string>; text?: string };

/** One request that the fake was sent, with what it answered. */
export type Exchange = {
	method: string;
	path: string;
	query: Record<string, string>;
	headers: IncomingHttpHeaders;
	body: unknown;
	status: number;
	answer: unknown;
};

/** Answers the next `times` requests (of that method and path, when named; `after` so many) instead of Netlify. */
export type Fault = { times: number; answer: Answer; method?: string; path?: RegExp; after?: number };

export type Token = {
	userId: string;
	accountIds: string[];
	canWrite: boolean;
	/** A redeemed code's token carries it when the fake's tokens expire. */
	expiresAtMs?: number;
};

/** Where sources disagree, or say nothing, the fake plays either side. */
export type NetlifyQuirks = {
	/** Whether hooks made by API keep their secret, and so sign; the other reading is that they never do. */
	hooksKeepSecret: boolean;
	/** Whether a hook that is read shows the secret it signs with. */
	hooksShowSecret: boolean;
	/** Events that the account may subscribe to, and that never come. */
	restrictedEvents: string[];
	/** Whether a value that is written again keeps its id. */
	valuesKeepIds: boolean;
	/** Whether OAuth tokens expire and come with a refresh token, as no document says they do. */
	tokensExpire: boolean;
	/** For how long, then. */
	tokenSeconds: number;
	/** Sends an event of the hook before it answers the call that makes it. */
	sendsBeforeAnswer: boolean;
};

export type NetlifyState = {
	accounts: Map<string, { id: string; slug: string; name: string; plan: "free" | "pro" }>;
	sites: Map<string, NetlifySite>;
	tokens: Map<string, Token>;
	hooks: Map<string, NetlifyHook>;
	/** By `account/site`, then by key. */
	variables: Map<string, Map<string, EnvVariable>>;
	/** Newest first. */
	deploys: NetlifyDeploy[];
	exchanges: Exchange[];
	faults: Fault[];
	quirks: NetlifyQuirks;
	oauth: {
		clientId: string;
		clientSecret: string;
		codes: Map<string, OAuthCode>;
		refresh: Map<string, string>;
	};
	/** Called with each event and the site's deploy: the hook service of the fake. */
	emit: (event: string, deploy: NetlifyDeploy) => void;
};

export type OAuthCode = { redirectUri: string; userToken: string };

export type NetlifyOptions = {
	token?: string;
	plan?: "free" | "pro";
	sites?: Partial<NetlifySite>[];
	clientId?: string;
	clientSecret?: string;
};

let lastId = 0;

/** An id of 24 hexadecimal digits, as Netlify gives hooks, deploys and users. */
export function newId(): string {
	lastId += 1;
	return `66f0${process.pid.toString(16).padStart(8, "0")}${lastId.toString(16).padStart(12, "0")}`;
}

export function createNetlifyState(options: NetlifyOptions): NetlifyState {
	const account = {
		id: "66f0000000000000000000d1",
		slug: "example",
		name: "Example",
		plan: options.plan ?? "pro",
	};
	const sites = (options.sites ?? [{}]).map(
		(site, index): NetlifySite => ({
			id: `3f1d7a52-5a0e-4c5e-9f55-0d6b6a9f${String(index + 1).padStart(4, "0")}`,
			name: index === 0 ? "beaver-dam" : `beaver-dam-${index + 1}`,
			accountId: account.id,
			repository: "https://github.com/example/beaver-dam",
			...site,
		}),
	);
	const token = options.token ?? "nfp_fake";
	return {
		accounts: new Map([[account.id, account]]),
		sites: new Map(sites.map((site) => [site.id, site])),
		tokens: new Map([
			[token, { userId: "66f0000000000000000000c1", accountIds: [account.id], canWrite: true }],
		]),
		hooks: new Map(),
		variables: new Map(),
		deploys: [],
		exchanges: [],
		faults: [],
		quirks: {
			hooksKeepSecret: true,
			hooksShowSecret: true,
			restrictedEvents: [],
			valuesKeepIds: true,
			tokensExpire: false,
			tokenSeconds: 7200,
			sendsBeforeAnswer: false,
		},
		oauth: {
			clientId: options.clientId ?? "netlify-client",
			clientSecret: options.clientSecret ?? "netlify-client-secret",
			codes: new Map(),
			refresh: new Map(),
		},
		emit: () => undefined,
	};
}

export function isKnownEvent(event: unknown): boolean {
	return netlifyEvents.some((known) => known === event);
}

export function refusal(status: number, message: string): Answer {
	return { status, body: { code: status, message } };
}
