import {
	createCipheriv,
	createDecipheriv,
	createHmac,
	createSecretKey,
	type KeyObject,
	randomBytes,
} from "node:crypto";
import { notInArray } from "drizzle-orm";
import type { Database } from "./db.ts";
import { encryptionKeys } from "./table.ts";

/** Which value is sealed: it opens only in the row and column that it was sealed for. */
export type SealedPlace = { row: string; column: string };

export type Vault = {
	/** Of the key that seals. */
	sealingKeyId: string;
	seal(plaintext: string, place: SealedPlace): string;
	/** Throws when the value was made for another place, was changed, or its key is not given. */
	open(sealed: string, place: SealedPlace): string;
	/**
	 * A key for signing things that never leave the server's hands, such as OAuth state: from the key that seals, or
	 * from another given one, by which what was signed before a change of keys is still known.
	 */
	derive(purpose: string, keyId?: string): Buffer;
	/** Of every given key, the one that seals first. */
	keyIds: readonly string[];
};

export type EncryptionKey = { id: string; key: Buffer };

/** Of the key that is made where none is given, and kept in `DATA_DIR/encryption-key`. */
export const generatedKeyId = "local";

const version = "v1";

/** AES-256-GCM under the first key; every given key opens. The key's id stands in the value. */
export function createVault(keys: readonly EncryptionKey[]): Vault {
	const [sealing] = keys;
	if (!sealing) throw new Error("A vault needs at least one key.");
	// Key objects: Node takes several times longer over a key that is bare bytes.
	const byId = new Map(keys.map((each) => [each.id, createSecretKey(each.key)]));
	const keyOf = (id: string): KeyObject => {
		const key = byId.get(id);
		if (!key) throw new Error(`No encryption key with id ${id}.`);
		return key;
	};
	return {
		sealingKeyId: sealing.id,
		seal: (plaintext, place) => {
			const nonce = randomBytes(12);
			const cipher = createCipheriv("aes-256-gcm", keyOf(sealing.id), nonce).setAAD(associated(place));
			const sealed = Buffer.concat([
				nonce,
				cipher.update(plaintext, "utf8"),
				cipher.final(),
				cipher.getAuthTag(),
			]);
			return [version, sealing.id, sealed.toString("base64url")].join(".");
		},
		open: (text, place) => {
			const [, keyId = "", payload = ""] = text.split(".");
			const key = keyOf(keyId);
			const sealed = Buffer.from(payload, "base64url");
			const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12))
				.setAAD(associated(place))
				.setAuthTag(sealed.subarray(-16));
			return decipher.update(sealed.subarray(12, -16), undefined, "utf8") + decipher.final("utf8");
		},
		derive: (purpose, keyId = sealing.id) => createHmac("sha256", keyOf(keyId)).update(purpose).digest(),
		keyIds: keys.map((each) => each.id),
	};
}

/**
 * Writes down the id of the first key, which seals. Returns the ids that this database was sealed with before and
 * that are not given now: with any of those the server must not start.
 */
export async function registerEncryptionKeys(
	database: Database,
	keys: readonly EncryptionKey[],
): Promise<string[]> {
	const ids = keys.map((key) => key.id);
	const missing = await database.orm.select().from(encryptionKeys).where(notInArray(encryptionKeys.id, ids));
	if (missing.length === 0) {
		// Those that only open are left out: once nothing is sealed with one, a server may start without it.
		await database.orm
			.insert(encryptionKeys)
			.values(ids.slice(0, 1).map((id) => ({ id })))
			.onConflictDoNothing();
	}
	return missing.map((row) => row.id);
}

function associated(place: SealedPlace): Buffer {
	return Buffer.from(`${place.row}/${place.column}`);
}
