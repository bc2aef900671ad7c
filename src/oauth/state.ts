import { createHash, createHmac, randomBytes } from "node:crypto";
import { equalDigests } from "../core/equality.ts";
import type { Vault } from "../platform/vault.ts";
import type { OAuthFlow } from "./flow.ts";

/** What a flow's state is signed over. */
type Bound = Pick<OAuthFlow, "projectId" | "provider" | "actorKind" | "actorId">;

type State = { nonce: string; signature: string };

/** A flow as it began: its nonce, and the encryption key that sealed then. */
export type Begun = { nonce: string; keyId: string };

const form = /^([A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{43})$/;

/** A text that nobody can guess, and the hash that it is found by. */
export function newToken(): { token: string; tokenHash: string } {
	const token = randomBytes(24).toString("base64url");
	return { token, tokenHash: hashToken(token) };
}

export function hashToken(token: string): string {
	return createHash("sha256").update(token).digest("base64url");
}

/** The state of a flow: its nonce, signed together with the project, the provider and the caller. */
export function signState(vault: Vault, nonce: string, bound: Bound): string {
	return `${nonce}.${signatureOf(vault, nonce, bound)}`;
}

/** The parts of a state; null when it is not of our form. Says nothing of whether it is genuine. */
export function readState(state: string): State | null {
	const match = form.exec(state);
	return match ? { nonce: match[1] as string, signature: match[2] as string } : null;
}

/** The id of the key that a state was signed with; null for a forged one. A flow may outlive a change of keys. */
export function signingKeyOf(vault: Vault, { nonce, signature }: State, bound: Bound): string | null {
	const isOf = (keyId: string) => equalDigests(signature, signatureOf(vault, nonce, bound, keyId));
	return vault.keyIds.find(isOf) ?? null;
}

/** What the browser that began a flow is given to keep. */
export function browserKey(vault: Vault, nonce: string, keyId?: string): string {
	return derived(vault, "oauth.browser", nonce, keyId);
}

export function isBrowserKey(vault: Vault, { nonce, keyId }: Begun, given: string | undefined): boolean {
	return given !== undefined && equalDigests(given, browserKey(vault, nonce, keyId));
}

/** PKCE (RFC 7636, S256). The verifier never leaves the server but for the exchange. */
export function codeVerifier(vault: Vault, { nonce, keyId }: Begun): string {
	return derived(vault, "oauth.pkce", nonce, keyId);
}

export function codeChallenge(vault: Vault, nonce: string): string {
	return hashToken(codeVerifier(vault, { nonce, keyId: vault.sealingKeyId }));
}

function signatureOf(vault: Vault, nonce: string, bound: Bound, keyId?: string): string {
	const { projectId, provider, actorKind, actorId } = bound;
	const text = JSON.stringify([nonce, projectId, provider, actorKind, actorId]);
	return derived(vault, "oauth.state", text, keyId);
}

function derived(vault: Vault, purpose: string, text: string, keyId?: string): string {
	return createHmac("sha256", vault.derive(purpose, keyId)).update(text).digest("base64url");
}
