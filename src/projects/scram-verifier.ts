import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

const iterations = 4096;

/**
 * The SCRAM-SHA-256 verifier of a password (RFC 5802 §3, RFC 7677) as Postgres stores it, so that the password
 * itself is in no statement and no server log. The password must be ASCII: SASLprep leaves that as it is.
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
	const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
	const storedKey = createHash("sha256").update(hmac(salted, "Client Key")).digest("base64");
	const serverKey = hmac(salted, "Server Key").toString("base64");
	return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

function hmac(key: Buffer, text: string): Buffer {
	return createHmac("sha256", key).update(text).digest();
}
