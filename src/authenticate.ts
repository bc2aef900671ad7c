import { createHash, timingSafeEqual } from "node:crypto";
import { findKeyPrincipal } from "./api-keys/authenticate-key.ts";
import type { Context } from "./context.ts";
import type { Principal } from "./core/principal.ts";

/** Who a credential is, or null: the operator's admin token, or an API key. */
export async function findPrincipal(
	ctx: Pick<Context, "stores" | "config" | "clock" | "log">,
	credential: string,
): Promise<Principal | null> {
	if (credential.startsWith("capy_live_")) return findKeyPrincipal(ctx, credential);
	const { adminToken } = ctx.config;
	return adminToken !== null && isSame(credential, adminToken) ? { kind: "admin" } : null;
}

/** In constant time, also for texts of different length. */
function isSame(given: string, expected: string): boolean {
	const digest = (text: string) => createHash("sha256").update(text).digest();
	return timingSafeEqual(digest(given), digest(expected));
}
