import { verifyToken } from "@clerk/backend";
import { TokenVerificationError, TokenVerificationErrorReason } from "@clerk/backend/errors";

/** A person signed in at Clerk, as their session token says. */
export type ClerkSession = {
	userId: string;
	/** The organization that is active in the session. Roles carry their prefix, as in `org:admin`. */
	organization: { id: string; role: string; slug: string | null } | null;
};

export type SessionVerdict =
	| { kind: "genuine"; session: ClerkSession }
	/** `unavailable`: Clerk's keys could not be fetched, which says nothing of the token. */
	| { kind: "invalid" | "expired" | "pending" | "unavailable" };

export type ClerkSessions = { verify(token: string): Promise<SessionVerdict> };

type ClerkSessionsOptions = {
	/** PEM public key: with it no token costs a request. */
	jwtKey: string | null;
	secretKey: string | null;
	authorizedParties: string[];
	apiUrl: string;
};

type Claims = Record<string, unknown>;

const fetchTimeoutMs = 5_000;
const clockSkewMs = 5_000;
/** Tokens that name a key not seen before cost a request to Clerk: this many at once, then one a second. */
const unknownKeysBurst = 5;

/** Verifies Clerk's session tokens; see https://clerk.com/docs/guides/sessions/manual-jwt-verification. */
export function createClerkSessions(options: ClerkSessionsOptions): ClerkSessions {
	const { jwtKey, secretKey, authorizedParties, apiUrl } = options;
	const isConfigured = jwtKey !== null || secretKey !== null;
	const admits = createKeyGate();
	return {
		verify: async (token) => {
			const keyId = readKeyId(token);
			if (!isConfigured || keyId === null) return { kind: "invalid" };
			if (jwtKey === null && !admits.mayLookUp(keyId)) return { kind: "invalid" };
			try {
				const verified = verifyToken(token, {
					...(jwtKey === null ? { secretKey: secretKey ?? "", apiUrl } : { jwtKey }),
					...(authorizedParties.length === 0 ? {} : { authorizedParties }),
					clockSkewInMs: clockSkewMs,
				});
				const claims = (await withinTime(verified)) as unknown as Claims;
				admits.remember(keyId);
				return readClaims(claims);
			} catch (error) {
				return { kind: verdictOf(error) };
			}
		},
	};
}

/** Keeps made-up key ids from turning this server into a flood of requests to Clerk. */
function createKeyGate() {
	const known = new Set<string>();
	let tokens = unknownKeysBurst;
	let refilledAt = performance.now();
	return {
		remember: (keyId: string) => known.add(keyId),
		mayLookUp: (keyId: string) => {
			if (known.has(keyId)) return true;
			const now = performance.now();
			tokens = Math.min(unknownKeysBurst, tokens + (now - refilledAt) / 1000);
			refilledAt = now;
			if (tokens < 1) return false;
			tokens -= 1;
			return true;
		},
	};
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

async function withinTime<Result>(work: Promise<Result>): Promise<Result> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<never>((_resolve, reject) => {
		timer = setTimeout(() => reject(new Error("Clerk's keys took too long.")), fetchTimeoutMs);
	});
	try {
		return await Promise.race([work, late]);
	} finally {
		clearTimeout(timer);
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

function verdictOf(error: unknown): "invalid" | "expired" | "unavailable" {
	if (!(error instanceof TokenVerificationError)) return "unavailable";
	switch (error.reason) {
		case TokenVerificationErrorReason.TokenExpired:
			return "expired";
		case TokenVerificationErrorReason.RemoteJWKFailedToLoad:
			return "unavailable";
		default:
			return "invalid";
	}
}
