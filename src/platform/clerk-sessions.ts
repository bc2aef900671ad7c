import { verifyToken } from "@clerk/backend";
import { TokenVerificationError, TokenVerificationErrorReason } from "@clerk/backend/errors";
import type { Clock } from "../core/clock.ts";
import { createClerkKeySet } from "./clerk-key-set.ts";

/** A person signed in at Clerk, as their session token says. */
export type ClerkSession = {
	userId: string;
	/** The organization that is active in the session. Roles carry their prefix, as in `org:admin`. */
	organization: { id: string; role: string; slug: string | null } | null;
};

export type SessionVerdict =
	| { kind: "genuine"; session: ClerkSession }
	| { kind: "invalid" | "expired" | "pending" }
	/** Clerk's keys could not be fetched, which says nothing of the token. */
	| { kind: "unavailable"; cause: unknown };

export type ClerkSessions = { verify(token: string): Promise<SessionVerdict> };

type ClerkSessionsOptions = {
	/** PEM public key: with it no token costs a request. */
	jwtKey: string | null;
	secretKey: string | null;
	authorizedParties: string[];
	apiUrl: string;
	clock: Clock;
};

type Claims = Record<string, unknown>;

const clockSkewMs = 5_000;

/** Verifies Clerk's session tokens; see https://clerk.com/docs/guides/sessions/manual-jwt-verification. */
export function createClerkSessions(options: ClerkSessionsOptions): ClerkSessions {
	const findKey = keyFinder(options);
	const { authorizedParties } = options;
	return {
		verify: async (token) => {
			const keyId = readKeyId(token);
			if (findKey === null || keyId === null) return { kind: "invalid" };
			let jwtKey: string | null;
			try {
				jwtKey = await findKey(keyId);
			} catch (cause) {
				return { kind: "unavailable", cause };
			}
			if (jwtKey === null) return { kind: "invalid" };
			try {
				const parties = authorizedParties.length === 0 ? {} : { authorizedParties };
				const claims = await verifyToken(token, { jwtKey, ...parties, clockSkewInMs: clockSkewMs });
				return readClaims(claims as unknown as Claims);
			} catch (error) {
				return { kind: isExpired(error) ? "expired" : "invalid" };
			}
		},
	};
}

/** Null when no key is configured. */
function keyFinder(options: ClerkSessionsOptions): ((keyId: string) => Promise<string | null>) | null {
	const { jwtKey, secretKey, apiUrl, clock } = options;
	if (jwtKey !== null) return async () => jwtKey;
	return secretKey === null ? null : createClerkKeySet({ secretKey, apiUrl, clock }).find;
}

function readKeyId(token: string): string | null {
	const [header = "", ...rest] = token.split(".");
	if (rest.length !== 2) return null;
	try {
		const { kid } = JSON.parse(Buffer.from(header, "base64url").toString()) as Claims;
		return typeof kid === "string" ? kid : null;
	} catch {
		return null;
	}
}

/** Version 1 names the organization in `org_*`, version 2 in `o`; `sts` is in both. */
function readClaims(claims: Claims): SessionVerdict {
	// Tokens that Clerk signs for machines and from templates carry no session.
	if (typeof claims.sub !== "string" || typeof claims.sid !== "string") return { kind: "invalid" };
	if (claims.sts === "pending") return { kind: "pending" };
	return { kind: "genuine", session: { userId: claims.sub, organization: readOrganization(claims) } };
}

function readOrganization(claims: Claims): ClerkSession["organization"] {
	if (claims.v === 2) {
		const { id, rol, slg } = (claims.o ?? {}) as Claims;
		if (typeof id !== "string") return null;
		return { id, role: typeof rol === "string" ? `org:${rol}` : "", slug: textOrNull(slg) };
	}
	if (typeof claims.org_id !== "string") return null;
	return { id: claims.org_id, role: textOrNull(claims.org_role) ?? "", slug: textOrNull(claims.org_slug) };
}

function textOrNull(value: unknown): string | null {
	return typeof value === "string" && value !== "" ? value : null;
}

function isExpired(error: unknown): boolean {
	return (
		error instanceof TokenVerificationError && error.reason === TokenVerificationErrorReason.TokenExpired
	);
}
