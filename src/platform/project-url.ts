import { isIP } from "node:net";
import { type AppError, invalid } from "../core/errors.ts";

export const sslModes = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;

export type SslMode = (typeof sslModes)[number];

/** What a bring-your-own URL says, decoded. */
export type ProjectUrl = {
	/** A name or a literal address, without brackets. */
	host: string;
	port: number;
	user: string;
	password: string;
	database: string;
	sslMode: SslMode;
	applicationName: string | null;
	/** `endpoint=…`, by which some hosts tell the databases of one address apart. */
	options: string | null;
};

const lengthMax = 2048;
const shape =
	/^postgres(?:ql)?:\/\/([^:@/?#]+):([^:@/?#]+)@(\[[0-9A-Fa-f:.]+\]|[^:@/?#[\]]+)(?::(\d{1,5}))?\/([^/?#]+)(?:\?([^?#]*))?$/;

/**
 * Reads a bring-your-own URL by our own rules, because drivers' rules let a URL name files, sockets, services and
 * several hosts: scheme, one host, port (5432), user, password, database, `sslmode` (prefer), `application_name`,
 * `options=endpoint=…`. Throws a 400 that names the field and never repeats the URL, which holds a password.
 */
export function parseProjectUrl(text: string, field: string): ProjectUrl {
	const refuse = (complaint: string) => invalid(field, `\`${field}\` ${complaint}.`);
	if (text.length > lengthMax) throw refuse(`must be at most ${lengthMax} characters long`);
	if (/[\p{Cc}\s\\]/u.test(text))
		throw refuse("must not contain white space, control characters or backslashes");
	const [, user = "", password = "", bracketed = "", port = "5432", database = "", query] =
		shape.exec(text) ?? [];
	if (bracketed === "") throw refuse(shapeComplaint(text));
	const host = bracketed.replace(/^\[(.*)\]$/, "$1");
	if (!isHost(host, bracketed !== host)) throw refuse("must name exactly one host, by name or address");
	if (Number(port) < 1 || Number(port) > 65_535) throw refuse("must name a port from 1 to 65535");
	return {
		host,
		port: Number(port),
		user: decode(user, refuse),
		password: decode(password, refuse),
		database: decode(database, refuse),
		...readQuery(query, refuse),
	};
}

type Refuse = (complaint: string) => AppError;

/** What is most likely wrong with a URL that does not have the shape. */
function shapeComplaint(text: string): string {
	if (!/^postgres(ql)?:\/\//.test(text)) return "must start with postgres:// or postgresql://";
	if (text.includes("#")) return "must not contain a fragment; write # as %23";
	return "must have the form postgres://user:password@host:5432/database, special characters percent-encoded";
}

function isHost(host: string, isBracketed: boolean): boolean {
	if (isBracketed) return isIP(host) === 6;
	return host.length <= 253 && /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(host);
}

function decode(text: string, refuse: Refuse): string {
	const decoded = percentDecode(text);
	if (decoded === null) throw refuse("holds a malformed percent escape");
	if (/\p{Cc}/u.test(decoded)) throw refuse("must not contain control characters, encoded ones neither");
	return decoded;
}

function percentDecode(text: string): string | null {
	try {
		return decodeURIComponent(text);
	} catch {
		return null;
	}
}

function readQuery(
	query: string | undefined,
	refuse: Refuse,
): Pick<ProjectUrl, "sslMode" | "applicationName" | "options"> {
	const found = new Map<string, string>();
	for (const pair of query === undefined || query === "" ? [] : query.split("&")) {
		const at = pair.indexOf("=");
		const key = at < 0 ? pair : pair.slice(0, at);
		if (!["sslmode", "application_name", "options"].includes(key) || at < 0) {
			throw refuse("may have only sslmode, application_name and options=endpoint=… after the question mark");
		}
		if (found.has(key)) throw refuse(`must not name ${key} twice`);
		found.set(key, decode(pair.slice(at + 1), refuse));
	}
	const sslMode = sslModes.find((mode) => mode === (found.get("sslmode") ?? "prefer"));
	if (!sslMode) throw refuse(`must have an sslmode of ${sslModes.join(", ")}`);
	const options = found.get("options") ?? null;
	if (options !== null && !/^endpoint=[A-Za-z0-9._-]{1,128}$/.test(options)) {
		throw refuse("may have only endpoint=… in options");
	}
	return { sslMode, options, applicationName: found.get("application_name") ?? null };
}
