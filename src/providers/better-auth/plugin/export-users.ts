import { APIError, createAuthEndpoint } from "better-auth/api";
import { verify } from "./signing.ts";
import { chosenFields } from "./user-fields.ts";

/** Below Better Auth's base path. */
export const exportPath = "/capydb/export-users";

const usersMax = 500;
const bodyLengthMax = 4096;

/**
 * One page of all users, for whoever holds the secret: Better Auth's own list wants the session of an administrator.
 * The body is `{type: "users.export", cursor, limit}` under the signature of Standard Webhooks; its type keeps a
 * signed event from passing for a request. Ordered by id, and the cursor is an id, so that nobody is left out while
 * others come and go; adapters sort by one field only.
 */
export function exportUsersEndpoint(secrets: readonly string[], fields: readonly string[]) {
	return createAuthEndpoint(
		exportPath,
		// The signature is over the bytes as they came.
		{ method: "POST", disableBody: true, metadata: { noStore: true } },
		async (ctx) => {
			const body = (await ctx.request?.text()) ?? "";
			const headers = ctx.request?.headers ?? new Headers();
			const isSigned =
				body.length <= bodyLengthMax && (await verify(secrets, { headers, body, now: new Date() }));
			if (!isSigned) throw new APIError("UNAUTHORIZED", { code: "INVALID_SIGNATURE" });
			const { cursor, limit } = readRequest(body);
			const found = await ctx.context.adapter.findMany<Record<string, unknown> & { id: string }>({
				model: "user",
				where: cursor === null ? [] : [{ field: "id", operator: "gt", value: cursor }],
				sortBy: { field: "id", direction: "asc" },
				limit,
			});
			const users = found.map((user) => chosenFields(user, fields));
			return ctx.json({ users, cursor: found.length < limit ? null : (found.at(-1)?.id ?? null) });
		},
	);
}

function readRequest(body: string): { cursor: string | null; limit: number } {
	const request = parse(body);
	const { type, cursor, limit } = request;
	const isCursor = cursor === null || typeof cursor === "string";
	const isLimit = typeof limit === "number" && Number.isInteger(limit) && limit >= 1;
	if (type !== "users.export" || !isCursor || !isLimit) {
		throw new APIError("BAD_REQUEST", { code: "INVALID_EXPORT_REQUEST" });
	}
	return { cursor, limit: Math.min(limit, usersMax) };
}

function parse(body: string): Record<string, unknown> {
	try {
		const json: unknown = JSON.parse(body);
		return typeof json === "object" && json !== null ? (json as Record<string, unknown>) : {};
	} catch {
		return {};
	}
}
