import { AppError } from "../core/errors.ts";

const headersMax = 20;
const valueBytesMax = 1024;

/**
 * Checks the headers that a customer adds to deliveries: at most 20, names are tokens (RFC 9110 §5.6.2), values
 * visible ASCII of at most 1 KiB, none of those that HTTP or our own signature needs. `others` is the endpoint's
 * other field, when it is known: both travel in one request, so they share the limit and no name is in both.
 * Throws `invalid`, naming `headers.<name>`.
 */
export function checkCustomHeaders(
	field: "headers" | "secret_headers",
	headers: Record<string, string>,
	others: Record<string, string> = {},
): void {
	const names = Object.keys(headers);
	if (names.length + Object.keys(others).length > headersMax) {
		throw refused(field, `${field} holds more than ${headersMax} headers`);
	}
	const taken = new Set(Object.keys(others).map((name) => name.toLowerCase()));
	for (const name of names) {
		const fault = faultOfName(name) ?? faultOfValue(headers[name] ?? "");
		if (fault !== null) throw refused(field, `${field}.${shown(name)} ${fault}`);
		if (taken.has(name.toLowerCase())) throw refused(field, `${field}.${shown(name)} is given twice`);
		taken.add(name.toLowerCase());
	}
}

function faultOfName(name: string): string | null {
	if (name.length > 256) return "has a name of more than 256 characters";
	if (!/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(name)) return "is not a valid header name";
	const lower = name.toLowerCase();
	const reserved = reservedNames.has(lower) || reservedPrefixes.some((prefix) => lower.startsWith(prefix));
	return reserved ? "is a header that the server sets or that HTTP reserves" : null;
}

function faultOfValue(value: string): string | null {
	if (value.length > valueBytesMax) return `has a value of more than ${valueBytesMax} bytes`;
	if (!/^[\x20-\x7e]*$/.test(value)) return "has a value with characters other than visible ASCII";
	// HTTP drops blanks around a value, so the receiver would see something else than was saved.
	return value === value.trim() ? null : "has a value with blanks around it";
}

const reservedNames = new Set([
	"host",
	"connection",
	"keep-alive",
	"transfer-encoding",
	"te",
	"trailer",
	"upgrade",
	"expect",
	"accept-encoding",
	"cookie",
	"user-agent",
	"forwarded",
	"traceparent",
]);

const reservedPrefixes = ["content-", "proxy-", "x-forwarded-", "webhook-", "svix-", "x-capydb-"];

function shown(name: string): string {
	return name.replace(/[^\x21-\x7e]/g, "?").slice(0, 64);
}

function refused(field: string, sentence: string): AppError {
	return new AppError("invalid", `${field}.invalid`, `${sentence}.`);
}
