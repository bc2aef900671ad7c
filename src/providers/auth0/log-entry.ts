import type { TouchedUser, UserChange } from "../provider.ts";
import { type Auth0LogEntry, isApiCall, toMoment } from "./wire.ts";

/**
 * The codes after which a user's document is another (tenant-log schema 1.0.0): sign-up, e-mail, user name, phone,
 * e-mail verified, SCIM, released block. Sign-ins (`s`) are left out: each would cost a call.
 */
const touching = new Set(["ss", "sce", "scu", "scpn", "sv", "sscim", "ublkdu"]);

/**
 * What a log entry says of a user. It holds an id and no document: the user is deleted, or to be fetched. A write by
 * the Management API or the dashboard is told by `sapi` alone.
 */
export function meaningOfLog({
	data,
}: Auth0LogEntry): Extract<UserChange, { kind: "deleted" }> | TouchedUser | null {
	const version = toMoment(data.date);
	if (version === null) return null;
	if (data.type === "sapi") return meaningOfCall(data.details, version);
	const userId = data.user_id;
	if (!userId) return null;
	if (data.type === "sdu") return { kind: "deleted", userId, version };
	return touching.has(data.type) ? { kind: "touched", userId, version } : null;
}

function meaningOfCall(details: unknown, version: Date): ReturnType<typeof meaningOfLog> {
	if (!isApiCall(details)) return null;
	const { request, response } = details;
	const status = response?.statusCode ?? 200;
	const [, id, below] = /^\/api\/v2\/users(?:\/([^/?]+)(\/[^?]*)?)?\/?(?:\?|$)/.exec(request.path) ?? [];
	const method = request.method.toLowerCase();
	if (status >= 300 || method === "get" || !request.path.startsWith("/api/v2/users")) return null;
	const userId = id === undefined ? response?.body?.user_id : decode(id);
	if (!userId) return null;
	const isDeletion = method === "delete" && below === undefined;
	return { kind: isDeletion ? "deleted" : "touched", userId, version };
}

function decode(segment: string): string | null {
	try {
		return decodeURIComponent(segment);
	} catch {
		return null;
	}
}
