import { createHash } from "node:crypto";
import type { TenantClient } from "./tenant.ts";

/** A token of the Management API. */
export type Grant = { token: string; expiresAtMs: number };

export type Tokens = {
	/** A token that is good for a while yet: the one that is kept, or a new one. */
	get(client: TenantClient): Promise<string>;
	/** Drops a token that the API refuses. */
	forget(client: TenantClient, token: string): Promise<void>;
};

const spareMs = 60_000;
const clientsMax = 1_000;

/**
 * Keeps tokens in memory for as long as they are good: Auth0 counts, and on some plans bills, each that it issues.
 * Callers of one client share one request for it; one that failed is not kept.
 */
export function createTokens(request: (client: TenantClient) => Promise<Grant>): Tokens {
	const grants = new Map<string, Promise<Grant>>();
	return {
		async get(client) {
			const key = keyOf(client);
			const kept = await grants.get(key);
			if (kept && kept.expiresAtMs - spareMs > Date.now()) return kept.token;
			return (await renew(grants, key, () => request(client))).token;
		},
		async forget(client, token) {
			const key = keyOf(client);
			const kept = await grants.get(key);
			if (kept?.token === token) grants.delete(key);
		},
	};
}

function renew(
	grants: Map<string, Promise<Grant>>,
	key: string,
	request: () => Promise<Grant>,
): Promise<Grant> {
	const asked = request();
	grants.delete(key);
	grants.set(key, asked);
	asked.catch(() => {
		if (grants.get(key) === asked) grants.delete(key);
	});
	const [oldest] = grants.keys();
	if (grants.size > clientsMax && oldest !== undefined) grants.delete(oldest);
	return asked;
}

function keyOf({ domain, clientId, clientSecret }: TenantClient): string {
	return createHash("sha256")
		.update(JSON.stringify([domain, clientId, clientSecret]))
		.digest("base64");
}
