import { createHash, timingSafeEqual } from "node:crypto";

/** Compares two secrets without telling by the time taken where they differ, or how long the right one is. */
export function equalSecrets(left: string, right: string): boolean {
	// Digests have one length, so that not even the length of the secret shows.
	return timingSafeEqual(
		createHash("sha256").update(left).digest(),
		createHash("sha256").update(right).digest(),
	);
}

/** The same for two digests or signatures, whose length is no secret. */
export function equalDigests(left: string, right: string): boolean {
	const [one, other] = [Buffer.from(left), Buffer.from(right)];
	return one.length === other.length && timingSafeEqual(one, other);
}
