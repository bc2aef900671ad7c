import type { Context } from "../context.ts";
import { AppError, invalid } from "../core/errors.ts";
import { parseProjectUrl } from "../platform/project-url.ts";
import type { ExternalCredentials } from "./credentials.ts";
import type { Project } from "./project.ts";

/** As they came with a request; null for those that did not. */
export type GivenUrls = { databaseUrl: string | null; directUrl: string | null };

export type External = {
	credentials: ExternalCredentials;
	fields: Pick<Project, "databaseName" | "roleName" | "directPort" | "pooledPort" | "publicHost" | "sslMode">;
};

const dnsTimeoutMs = 2_000;

/** The URLs of a new project; null when it brings no database along. Throws a 400 for a direct URL alone. */
export function newUrls(given: GivenUrls): ExternalCredentials | null {
	if (given.databaseUrl !== null) {
		return { pooledUrl: given.databaseUrl, directUrl: given.directUrl ?? given.databaseUrl };
	}
	if (given.directUrl === null) return null;
	throw invalid("direct_url", "`direct_url` goes only together with `database_url`.");
}

/** A direct URL that was never given apart follows the database URL; one that was stays until it is changed. */
export function changedUrls(before: ExternalCredentials, given: GivenUrls): ExternalCredentials {
	const pooledUrl = given.databaseUrl ?? before.pooledUrl;
	const kept = before.directUrl === before.pooledUrl ? pooledUrl : before.directUrl;
	return { pooledUrl, directUrl: given.directUrl ?? kept };
}

/**
 * Reads both URLs and judges their hosts. DNS is best effort here (2 s): a forbidden address is refused, no answer
 * is accepted, because every connection judges again. Throws a 400 that names the field.
 */
export async function readExternal(
	guard: Context["databaseGuard"],
	credentials: ExternalCredentials,
): Promise<External> {
	const pooled = parseProjectUrl(credentials.pooledUrl, "database_url");
	const direct = parseProjectUrl(credentials.directUrl, "direct_url");
	await Promise.all([judge(guard, pooled.host, "database_url"), judge(guard, direct.host, "direct_url")]);
	return {
		credentials,
		fields: {
			databaseName: direct.database,
			roleName: pooled.user,
			publicHost: direct.host,
			directPort: direct.port,
			pooledPort: credentials.pooledUrl === credentials.directUrl ? null : pooled.port,
			sslMode: direct.sslMode,
		},
	};
}

async function judge(guard: Context["databaseGuard"], host: string, field: string): Promise<void> {
	const resolution = await guard.resolve(host, { timeoutMs: dnsTimeoutMs });
	if (resolution.kind !== "blocked") return;
	throw new AppError("invalid", `${field}.host_not_allowed`, `\`${field}\`: host is not allowed: ${host}`);
}
