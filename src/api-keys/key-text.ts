import { createHash, randomBytes } from "node:crypto";

const prefix = "capy_live_";
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const shownLength = 14;

/** A new key: 200 random bits in base 32. */
export function newKeyText(): string {
	return prefix + [...randomBytes(40)].map((byte) => alphabet[byte & 31]).join("");
}

/** Whether the text could be a key at all, so that anything else costs no query. */
export function isKeyText(text: string): boolean {
	return /^capy_live_[0-9A-Za-z_-]{20,200}$/.test(text);
}

/** What is stored of a key. Its randomness makes a slow hash needless. */
export function hashKey(text: string): Buffer {
	return createHash("sha256").update(text).digest();
}

/** The part by which people tell keys apart. */
export function shownPrefix(text: string): string {
	return text.slice(0, shownLength);
}
