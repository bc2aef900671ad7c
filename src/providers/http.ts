import { Agent, type buildConnector, request as send } from "undici";
import { ProviderError, type ProviderErrorReason } from "./errors.ts";

export type ProviderCall = {
	method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
	/** In place of the provider's own, where each tenant has its own host. */
	origin?: string;
	/** Begins with "/"; identifiers in it are already percent-encoded. */
	path: string;
	query?: Record<string, string | number | undefined>;
	headers?: Record<string, string>;
	/** Sent as JSON. */
	body?: unknown;
	/** Sent form-encoded, in place of `body`. */
	form?: Record<string, string>;
	signal?: AbortSignal;
	/** For everything from the name lookup to the last byte of the answer. */
	deadlineMs?: number;
	responseBytesMax?: number;
};

export type ProviderAnswer = {
	status: number;
	headers: Record<string, string | string[] | undefined>;
	/** null when the answer has no body. */
	json: unknown;
};

/** The address guard before the hosts that tenants name. A host that it refuses at connect gives `EBLOCKED`. */
export type TenantHosts = {
	connect: buildConnector.connector;
	/** Whether the host may be asked, as far as DNS tells now. */
	isAllowed(host: string): Promise<boolean>;
};

export type ProviderHttp = { request(call: ProviderCall): Promise<ProviderAnswer> };

export type ProviderHttpOptions = {
	/** Display name, as in "Clerk". */
	provider: string;
	/** Scheme, host and port, without a path; absent where every call names its own. */
	origin?: string;
	/** How connections are opened, where tenants name the hosts. */
	connect?: TenantHosts["connect"];
	/** What we authenticate with, in words, as in "secret key". */
	credential?: string;
	userAgent?: string;
	/** Where the vendor puts its machine-readable code in the body of a refusal. */
	readVendorCode?: (json: unknown) => unknown;
};

const defaultDeadlineMs = 10_000;
const defaultResponseBytesMax = 8 * 1024 * 1024;
const defaultRetryAfterSeconds = 10;
const retryAfterSecondsMax = 24 * 60 * 60;
/** Both platforms count by the minute or the hour: a later reset is a clock that goes wrong. */
const resetSecondsMax = 60 * 60;

/**
 * JSON over HTTP to one provider. `request` resolves for a 2xx only; everything else is a ProviderError whose
 * sentence is ours and which holds nothing that we sent. Redirects are not followed, so that a credential
 * never travels to another host. When `signal` is aborted its own reason is thrown: that is no fault of the
 * provider.
 */
export function createProviderHttp(options: ProviderHttpOptions): ProviderHttp {
	// The total deadline governs; undici's own per-phase timeouts would only hide it.
	const connecting = options.connect === undefined ? {} : { connect: options.connect };
	const agent = new Agent({ connections: 16, headersTimeout: 0, bodyTimeout: 0, ...connecting });
	return {
		async request(call) {
			const answer = await exchange(agent, options, call);
			if (answer.status < 200 || answer.status > 299) throw refusal(options, call, answer);
			return { status: answer.status, headers: answer.headers, json: readJson(options, answer) };
		},
	};
}

type RawAnswer = Omit<ProviderAnswer, "json"> & {
	/** null when the answer was longer than we read. */
	body: Buffer | null;
};

async function exchange(agent: Agent, options: ProviderHttpOptions, call: ProviderCall): Promise<RawAnswer> {
	call.signal?.throwIfAborted();
	const deadline = AbortSignal.timeout(call.deadlineMs ?? defaultDeadlineMs);
	try {
		const response = await send(callUrl(call.origin ?? options.origin ?? "", call), {
			dispatcher: agent,
			method: call.method ?? "GET",
			headers: {
				accept: "application/json",
				"user-agent": options.userAgent ?? "capydb-integrations/1.0",
				...contentType(call),
				...call.headers,
			},
			body: writeBody(call),
			signal: call.signal === undefined ? deadline : AbortSignal.any([call.signal, deadline]),
		});
		const body = await readCapped(response.body, call.responseBytesMax ?? defaultResponseBytesMax);
		return { status: response.statusCode, headers: response.headers, body };
	} catch (cause) {
		call.signal?.throwIfAborted();
		throw connectionFailure(options.provider, deadline.aborted, cause);
	}
}

function callUrl(origin: string, call: ProviderCall): URL {
	const url = new URL(`${origin.replace(/\/+$/, "")}${call.path}`);
	for (const [name, value] of Object.entries(call.query ?? {})) {
		if (value !== undefined) url.searchParams.append(name, String(value));
	}
	return url;
}

function contentType(call: ProviderCall): Record<string, string> {
	if (call.form !== undefined) return { "content-type": "application/x-www-form-urlencoded" };
	return call.body === undefined ? {} : { "content-type": "application/json" };
}

function writeBody(call: ProviderCall): string | null {
	if (call.form !== undefined) return new URLSearchParams(call.form).toString();
	return call.body === undefined ? null : JSON.stringify(call.body);
}

async function readCapped(body: AsyncIterable<Buffer>, bytesMax: number): Promise<Buffer | null> {
	const chunks: Buffer[] = [];
	let length = 0;
	for await (const chunk of body) {
		length += chunk.length;
		if (length > bytesMax) return null;
		chunks.push(chunk);
	}
	return Buffer.concat(chunks, length);
}

function connectionFailure(provider: string, timedOut: boolean, cause: unknown): ProviderError {
	if (timedOut)
		return new ProviderError("unavailable", `${provider} did not answer in time.`, { provider, cause });
	const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
	if (code === "UND_ERR_INVALID_ARG") {
		// A pasted credential with characters that no header can carry: nothing was sent.
		const sentence = `The request to ${provider} could not be written: a credential holds unusable characters.`;
		return new ProviderError("invalid_request", sentence, { provider });
	}
	if (code === "EBLOCKED") return hostNotAllowed(provider);
	return new ProviderError("unavailable", `${provider} could not be reached.`, { provider, cause });
}

/** A tenant named a host that the address guard refuses. */
export function hostNotAllowed(provider: string): ProviderError {
	const sentence = `The host that is named for ${provider} is not allowed: it must be a public one.`;
	return new ProviderError("invalid_request", sentence, { provider });
}

function refusal(options: ProviderHttpOptions, call: ProviderCall, answer: RawAnswer): ProviderError {
	const { provider } = options;
	const reason = refusalReason(answer.status);
	const vendorCode = readVendorCode(options, call, answer.body);
	const retryAfterSeconds =
		reason === "rate_limited" || reason === "unavailable"
			? (readRetryAfter(answer.headers["retry-after"]) ?? readReset(reason, answer.headers))
			: undefined;
	const waits = retryAfterSeconds ?? (reason === "rate_limited" ? defaultRetryAfterSeconds : undefined);
	return new ProviderError(reason, refusalSentence(reason, provider, options.credential ?? "credential"), {
		provider,
		status: answer.status,
		...(vendorCode === undefined ? {} : { vendorCode }),
		...(waits === undefined ? {} : { retryAfterSeconds: waits }),
	});
}

function refusalReason(status: number): ProviderErrorReason {
	if (status === 401) return "unauthorized";
	if (status === 403) return "forbidden";
	if (status === 404) return "not_found";
	if (status === 429) return "rate_limited";
	// 408 and 425 ask for the same request again later, so they must not end a job for good.
	if (status >= 500 || status === 408 || status === 425) return "unavailable";
	return status >= 400 ? "invalid_request" : "unexpected_answer";
}

function refusalSentence(reason: ProviderErrorReason, provider: string, credential: string): string {
	const sentences: Record<ProviderErrorReason, string> = {
		unauthorized: `${provider} refused the ${credential}.`,
		forbidden: `${provider} does not allow this ${credential} to do that.`,
		not_found: `${provider} knows nothing under that name.`,
		invalid_request: `${provider} refused the request.`,
		invalid_grant: `${provider} did not take the authorization.`,
		invalid_client: `${provider} does not know this server's OAuth client.`,
		limit_reached: `${provider} has no room for another one.`,
		rate_limited: `${provider} asked us to slow down.`,
		unavailable: `${provider} is out of order just now.`,
		unexpected_answer: `${provider} gave an answer that we do not understand.`,
	};
	return sentences[reason];
}

function readVendorCode(
	options: ProviderHttpOptions,
	call: ProviderCall,
	body: Buffer | null,
): string | undefined {
	const code = options.readVendorCode?.(parseJson(body));
	if (typeof code !== "string") return undefined;
	const clean = code.replace(/[^A-Za-z0-9_.-]/g, "");
	if (clean === "" || echoesCredential(clean, call)) return undefined;
	return clean.slice(0, 100);
}

/** A vendor, or a proxy before it, may repeat what we sent; what looks like it is left out. */
function echoesCredential(text: string, { headers = {}, form = {} }: ProviderCall): boolean {
	const authorization = Object.entries(headers).flatMap(([name, value]) =>
		name.toLowerCase() === "authorization" ? value.split(" ").slice(-1) : [],
	);
	const secrets = Object.entries(form).flatMap(([name, value]) => (secretFields.has(name) ? [value] : []));
	return [...authorization, ...secrets].some((part) => {
		const credential = part.replace(/[^A-Za-z0-9_.-]/g, "");
		return credential !== "" && (text.includes(credential) || credential.includes(text));
	});
}

const secretFields = new Set(["client_secret", "code", "code_verifier", "refresh_token", "token"]);

/** Seconds, or an HTTP date (RFC 9110 §10.2.3); undefined when it is neither. */
function readRetryAfter(header: string | string[] | undefined): number | undefined {
	if (typeof header !== "string") return undefined;
	const seconds = /^\s*\d+(\.\d+)?\s*$/.test(header)
		? Number(header)
		: (Date.parse(header) - Date.now()) / 1000;
	if (Number.isNaN(seconds)) return undefined;
	return Math.min(Math.max(Math.ceil(seconds), 1), retryAfterSecondsMax);
}

/** Where a 429 has no `Retry-After`: Unix seconds of the moment when calls are taken again, at Vercel and Netlify. */
function readReset(reason: ProviderErrorReason, headers: RawAnswer["headers"]): number | undefined {
	const reset = headers["x-ratelimit-reset"];
	if (reason !== "rate_limited" || typeof reset !== "string" || !/^\d{10}$/.test(reset)) return undefined;
	const seconds = Math.ceil(Number(reset) - Date.now() / 1000);
	return Math.min(Math.max(seconds, 1), resetSecondsMax);
}

function readJson(options: ProviderHttpOptions, answer: RawAnswer): unknown {
	if (answer.body?.length === 0) return null;
	const json = parseJson(answer.body);
	if (json !== undefined) return json;
	const { provider } = options;
	const sentence =
		answer.body === null
			? `${provider} gave an answer that is too long to read.`
			: refusalSentence("unexpected_answer", provider, "");
	throw new ProviderError("unexpected_answer", sentence, { provider, status: answer.status });
}

/** undefined when it is not JSON. */
function parseJson(body: Buffer | null): unknown {
	if (body === null) return undefined;
	try {
		return JSON.parse(body.toString("utf8"));
	} catch {
		return undefined;
	}
}
