import { randomUUID } from "node:crypto";
import { ProviderError } from "../errors.ts";
import { createProviderHttp, hostNotAllowed, type ProviderHttp, type TenantHosts } from "../http.ts";
import type { Credentials, InterpretOptions, UserPage } from "../provider.ts";
import { signStandardWebhook } from "../signatures.ts";
import { redact } from "./redact.ts";
import { exportUsersMax, isExport, toExternalUser } from "./wire.ts";

const provider = "Better Auth";
const pageDeadlineMs = 30_000;
/** Applications keep images as data URLs: 500 of 64 KiB fit. */
const pageBytesMax = 32 * 1024 * 1024;

type ListOptions = InterpretOptions & { signal: AbortSignal };

/**
 * The export endpoint of the plugin, in the customer's own application. Every call throws ProviderError; requests
 * are signed with `webhook_signing_secret`.
 */
export function createBetterAuthClient({ hosts }: { hosts: TenantHosts }) {
	const http = createProviderHttp({
		provider,
		connect: hosts.connect,
		credential: "signing secret",
		readVendorCode: codeOf,
	});
	return {
		/** Checks that users are exported at `export_url` to whoever signs with our secret. */
		async identify(credentials: Credentials): Promise<{ externalId: null }> {
			const url = readExportUrl(credentials);
			if (!(await hosts.isAllowed(url.hostname))) throw hostNotAllowed(provider);
			await fetchPage(http, url, { credentials, cursor: null, limit: 1 });
			return { externalId: null };
		},
		/** One page of all users in the order of their ids; the cursor is the last one's. */
		async listUsers(
			credentials: Credentials,
			cursor: string | null,
			{ signal, ...options }: ListOptions,
		): Promise<UserPage> {
			const url = readExportUrl(credentials);
			const page = await fetchPage(http, url, { credentials, cursor, limit: exportUsersMax, signal });
			// An endpoint that does not know the cursor would hand out its first page for ever.
			const repeats =
				cursor !== null && (page.cursor === cursor || page.users.some(({ id }) => id === cursor));
			if (repeats) throw unexpected("The application's list of users does not advance.");
			return { users: page.users.map((user) => toExternalUser(redact(user, options))), cursor: page.cursor };
		},
	};
}

type Page = { credentials: Credentials; cursor: string | null; limit: number; signal?: AbortSignal };

async function fetchPage(http: ProviderHttp, url: URL, { credentials, cursor, limit, signal }: Page) {
	const body = { type: "users.export", cursor, limit };
	const message = { id: `msg_${randomUUID()}`, rawBody: Buffer.from(JSON.stringify(body)), now: new Date() };
	const signed = signStandardWebhook(message, credentials.webhook_signing_secret ?? "");
	if (signed === null) throw noSecret();
	const { json } = await http.request({
		method: "POST",
		origin: url.origin,
		path: `${url.pathname}${url.search}`,
		headers: signed,
		body,
		responseBytesMax: pageBytesMax,
		...(signal === undefined ? {} : { signal, deadlineMs: pageDeadlineMs }),
	});
	if (!isExport(json)) throw unexpected("The application gave a list of users that we cannot read.");
	return json;
}

/** Throws ProviderError when there is none, or one that we would not connect to. */
function readExportUrl({ export_url: text }: Credentials): URL {
	if (!text) throw invalid("Give `credentials.export_url` first: without it no users can be read.");
	const url = URL.parse(text);
	// `URL` also reads https:host, and drops what it does not like.
	const isWhole = url !== null && /^https?:\/\/[^/?#@\\]+(?:[/?][^#\\]*)?$/i.test(text);
	if (!isWhole) {
		throw invalid("`credentials.export_url` must be a complete https:// URL without user name or fragment.");
	}
	const isAllowedPort = url.port === "" || url.port === "80" || Number(url.port) >= 1024;
	if (!isAllowedPort)
		throw invalid("`credentials.export_url` must use port 443, port 80 or one from 1024 upwards.");
	return url;
}

/** Better Auth's refusals read `{code, message}`. */
function codeOf(json: unknown): unknown {
	return typeof json === "object" && json !== null && "code" in json ? json.code : undefined;
}

function noSecret(): ProviderError {
	return invalid(
		"There is no signing secret to ask with: give `webhook_signing_secret` as base64, with or without `whsec_`, or have one made first.",
	);
}

function invalid(sentence: string): ProviderError {
	return new ProviderError("invalid_request", sentence, { provider });
}

function unexpected(sentence: string): ProviderError {
	return new ProviderError("unexpected_answer", sentence, { provider });
}
