import { AppError, invalid } from "../core/errors.ts";
import type { AddressGuard } from "../platform/address-guard.ts";

const lengthMax = 2048;
const dnsTimeoutMs = 2000;

/**
 * Checks the address that deliveries go to, when it is saved. DNS is best effort here (2 s): an address that is
 * forbidden refuses, no answer is accepted, because the sender checks again at every connect. The text itself is
 * left alone: store it as it came. Throws `invalid` with code `url.invalid` or `url.host_not_allowed`.
 */
export async function checkEndpointUrl(
	text: string,
	guard: Pick<AddressGuard, "allowAny" | "isForbiddenName" | "resolve">,
): Promise<void> {
	const url = parseEndpointUrl(text);
	if (guard.isForbiddenName(url.hostname)) throw hostNotAllowed(url);
	const resolution = await guard.resolve(url.hostname, { timeoutMs: dnsTimeoutMs });
	if (resolution.kind === "blocked") throw hostNotAllowed(url);
	if (url.protocol === "https:" || guard.allowAny) return;
	const allowlisted =
		resolution.kind === "addresses" && resolution.addresses.every(({ verdict }) => verdict === "allowed");
	if (!allowlisted) throw invalid("url", "url must start with https://.");
}

/** Hosts are judged as `URL` normalises them: decimal, octal, hex and short addresses are plain ones by then. */
function parseEndpointUrl(text: string): URL {
	if (text.length > lengthMax) {
		throw invalid("url", `url must be at most ${lengthMax} characters long.`);
	}
	if (text !== text.trim()) throw invalid("url", "url must not begin or end with white space.");
	if (/\p{Cc}/u.test(text)) throw invalid("url", "url must not contain control characters.");
	if (text.includes("\\")) throw invalid("url", "url must not contain a backslash.");
	// `URL` also reads https:host and https:///host; receivers' own tools would read those as something else.
	const [, authority] = /^https?:\/\/([^/?#]+)/i.exec(text) ?? [];
	const url = URL.parse(text);
	if (url === null || authority === undefined) {
		throw invalid("url", "url must be a complete URL that starts with https://.");
	}
	if (authority.includes("@")) throw invalid("url", "url must not contain a user name or password.");
	if (!isAllowedPort(url.port)) {
		throw invalid("url", "url must use port 443, port 80 or a port from 1024 upwards.");
	}
	return url;
}

function isAllowedPort(port: string): boolean {
	return port === "" || port === "443" || port === "80" || Number(port) >= 1024;
}

function hostNotAllowed(url: URL): AppError {
	return new AppError("invalid", "url.host_not_allowed", `host is not allowed: ${url.hostname}`);
}
