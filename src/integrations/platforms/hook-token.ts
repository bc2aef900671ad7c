import { hash, randomBytes } from "node:crypto";
import { equalDigests } from "../../core/equality.ts";
import type { Integration } from "../integration.ts";

/** `standing`: of the hook that counts. `awaited`: of one whose registration has not been answered yet. */
export type TokenVerdict = "standing" | "awaited" | "unknown";

/** 192 random bits. */
export function newPathToken(): string {
	return randomBytes(24).toString("base64url");
}

export function hashPathToken(token: string): string {
	return hash("sha256", token, "hex");
}

/** Which hook of an integration calls with this path token; in a time that tells nothing of the right one. */
export function judgePathToken({ hook }: Pick<Integration, "hook">, token: string): TokenVerdict {
	const given = hashPathToken(token);
	const equals = (other: string | null | undefined) =>
		other !== null && other !== undefined && equalDigests(given, other);
	const isStanding = equals(hook?.tokenHash);
	const isAwaited = equals(hook?.awaitedTokenHash);
	if (isStanding) return "standing";
	return isAwaited ? "awaited" : "unknown";
}
