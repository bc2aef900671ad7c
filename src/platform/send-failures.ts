import { isIPv6 } from "node:net";

export type SendErrorCode =
	| "timeout"
	| "dns_error"
	| "connection_refused"
	| "connection_reset"
	| "tls_error"
	| "blocked_address"
	| "response_too_slow"
	| "unknown";

/**
 * Why no answer counts. `message` is our sentence for the customer: no address, no port, no vendor text. `ours` is
 * set when this machine is at fault (out of sockets, files or memory, shutting down) and the receiver is not.
 */
export type SendFailure = { errorCode: SendErrorCode; message: string; ours?: true };

/**
 * Turns what a socket, the resolver, TLS or the HTTP client reported into the closed list. Of the addresses of one
 * host, the one that we failed to try for a fault of our own decides: the receiver may well be there.
 */
export function failureOf(error: unknown): SendFailure {
	const codes = codesOf(error);
	const failures = codes.map((code) => failureByCode.get(code)).filter((failure) => failure !== undefined);
	const known = failures.find(({ ours }) => ours) ?? failures[0];
	if (known) return known;
	if (codes.includes("UND_ERR_SOCKET")) return wasClosed(error) ? reset : notHttp;
	if (codes.some(isTlsCode)) return tlsFailed;
	return codes.some((code) => code.startsWith("HPE_")) ? notHttp : unknown;
}

export const timedOut: SendFailure = {
	errorCode: "timeout",
	message: "The endpoint did not answer in time.",
};
export const tooSlow: SendFailure = {
	errorCode: "response_too_slow",
	message: "The endpoint began to answer but did not finish in time.",
};
export const unusableUrl: SendFailure = {
	errorCode: "unknown",
	message: "The request could not be built from the endpoint's URL.",
};
const blocked: SendFailure = {
	errorCode: "blocked_address",
	message: "The endpoint's host is not allowed.",
};
const unresolved: SendFailure = {
	errorCode: "dns_error",
	message: "The endpoint's host name could not be resolved.",
};
const refused: SendFailure = {
	errorCode: "connection_refused",
	message: "The endpoint's host did not accept the connection.",
};
const reset: SendFailure = {
	errorCode: "connection_reset",
	message: "The endpoint closed the connection before its answer was complete.",
};
const tlsFailed: SendFailure = {
	errorCode: "tls_error",
	message: "No secure connection could be made: check the endpoint's certificate and TLS version.",
};
export const notHttp: SendFailure = {
	errorCode: "unknown",
	message: "The endpoint's answer was not valid HTTP or had headers of more than 16 KiB.",
};
const badRequest: SendFailure = {
	errorCode: "unknown",
	message: "The request could not be built: check the endpoint's headers.",
};
const ourFault: SendFailure = { errorCode: "unknown", message: "The request could not be sent.", ours: true };
const unknown: SendFailure = { errorCode: "unknown", message: "The request failed for an unknown reason." };

const failureByCode = new Map<string, SendFailure>([
	["EBLOCKED", blocked],
	["EUNRESOLVED", unresolved],
	["ECONNREFUSED", refused],
	["EHOSTUNREACH", refused],
	["EHOSTDOWN", refused],
	["ENETUNREACH", refused],
	["EAFNOSUPPORT", refused],
	["ECONNRESET", reset],
	["ECONNABORTED", reset],
	["EPIPE", reset],
	["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", reset],
	["ETIMEDOUT", timedOut],
	["UND_ERR_CONNECT_TIMEOUT", timedOut],
	["UND_ERR_HEADERS_OVERFLOW", notHttp],
	["EPROTO", tlsFailed],
	["UND_ERR_INVALID_ARG", badRequest],
	["UND_ERR_CLOSED", ourFault],
	["UND_ERR_DESTROYED", ourFault],
	["EMFILE", ourFault],
	["ENFILE", ourFault],
	["ENOBUFS", ourFault],
	["ENOMEM", ourFault],
	["EADDRNOTAVAIL", ourFault],
]);

/** The code of an error, or of those inside it: a connect that tried several addresses failed once for each. */
function codesOf(error: unknown): string[] {
	if (error instanceof AggregateError && error.errors.length > 0) return error.errors.flatMap(codesOf);
	if (typeof error !== "object" || error === null) return [];
	return "code" in error && typeof error.code === "string" ? [codeOf(error.code, error)] : [];
}

/** `EADDRNOTAVAIL`: of IPv4 all ports are taken; of IPv6 this host speaks none, as when it is not reachable by it. */
function codeOf(code: string, error: object): string {
	const address = "address" in error ? String(error.address) : "";
	return code === "EADDRNOTAVAIL" && isIPv6(address) ? "ENETUNREACH" : code;
}

/** undici has one code for a connection that was closed and for an answer out of turn (an unasked-for 100 or 101). */
function wasClosed(error: unknown): boolean {
	return error instanceof Error && /closed|destroyed/.test(error.message);
}

/** OpenSSL's verification results have bare names; https://nodejs.org/api/tls.html#x509-certificate-error-codes */
function isTlsCode(code: string): boolean {
	return (
		/^ERR_(TLS|SSL|OSSL)/.test(code) ||
		/^(CERT_|CRL_|UNABLE_TO_|ERROR_IN_C|SELF_SIGNED_|DEPTH_ZERO_)/.test(code) ||
		["INVALID_CA", "INVALID_PURPOSE", "PATH_LENGTH_EXCEEDED", "HOSTNAME_MISMATCH"].includes(code)
	);
}
