import { findKeyPrincipal } from "./api-keys/find-key-principal.ts";
import type { Context } from "./context.ts";
import { equalSecrets } from "./core/equality.ts";
import { AppError } from "./core/errors.ts";
import { type Principal, sessionPrincipal } from "./core/principal.ts";
import { findClerkOrganization } from "./organizations/find-clerk-organization.ts";

/**
 * Who a credential is, or null: the operator's admin token, an API key, or a Clerk session token. Throws a 401 that
 * says why for a session that was good once, a 403 for one without an organization of ours.
 */
export async function findPrincipal(ctx: Context, credential: string): Promise<Principal | null> {
	if (credential.startsWith("capy_live_")) return findKeyPrincipal(ctx, credential);
	const { adminToken } = ctx.config;
	if (adminToken !== null && equalSecrets(credential, adminToken)) return { kind: "admin" };
	return credential.startsWith("eyJ") ? findSessionPrincipal(ctx, credential) : null;
}

async function findSessionPrincipal(ctx: Context, token: string): Promise<Principal | null> {
	const verdict = await ctx.clerkSessions.verify(token);
	switch (verdict.kind) {
		case "invalid":
			return null;
		case "expired":
			throw new AppError("unauthenticated", "session.expired", "The Clerk session token has expired.");
		case "pending":
			throw new AppError(
				"unauthenticated",
				"session.pending",
				"The Clerk session is pending: finish signing in first.",
			);
		case "unavailable":
			throw new AppError(
				"unavailable",
				"session.unverifiable",
				"Clerk's signing keys could not be fetched just now.",
				{ retryAfterSeconds: 5, cause: verdict.cause },
			);
		case "genuine": {
			const { userId, organization } = verdict.session;
			if (!organization) throw noActiveOrganization();
			const organizationId = await findClerkOrganization(ctx, { userId, organization });
			return sessionPrincipal(userId, organization, organizationId);
		}
	}
}

function noActiveOrganization(): AppError {
	const sentence = "The Clerk session has no active organization: choose one and try again.";
	return new AppError("forbidden", "organization.not_chosen", sentence);
}
