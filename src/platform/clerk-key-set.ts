import { createPublicKey, type JsonWebKey } from "node:crypto";
import { createClerkClient } from "@clerk/backend";
import type { Clock } from "../core/clock.ts";

/** The public keys that Clerk publishes for an instance, as PEM. */
export type ClerkKeySet = {
	/** The key of that id; null when Clerk publishes none. Throws when Clerk cannot be asked and it is not known. */
	find(keyId: string): Promise<string | null>;
};

type Options = { secretKey: string; apiUrl: string; clock: Clock };

const fetchTimeoutMs = 5_000;
/** A key that Clerk takes back counts no longer than this. */
const freshMs = 5 * 60_000;
/** Unless Clerk is away: what it published last counts for an hour then. */
const keptMs = 60 * 60_000;
/** Tokens name keys before they prove anything: they may ask Clerk this often at once, then once in that time. */
const readsMax = 3;
const readEveryMs = 2_000;

/**
 * Reads Clerk's key set when a token names a key that is not known, or when the set is old. Whoever asks at the same
 * time shares one request, and made-up key ids cannot keep those of a set that was read from being found.
 */
export function createClerkKeySet(options: Options): ClerkKeySet {
	let published: Published = { keys: new Map(), readAt: new Date(0) };
	let reading: Promise<void> | null = null;
	const mayRead = createAllowance(options.clock);
	const read = async () => {
		published = { keys: await fetchKeys(options), readAt: options.clock.now() };
	};
	/** False when it was read too often of late. */
	const refresh = async (): Promise<boolean> => {
		if (reading === null && !mayRead()) return false;
		reading ??= read().finally(() => {
			reading = null;
		});
		await reading;
		return true;
	};
	return {
		find: async (keyId) => {
			const { keys, readAt } = published;
			const known = keys.get(keyId);
			const ageMs = options.clock.now().getTime() - readAt.getTime();
			if (known !== undefined && ageMs < freshMs) return known;
			try {
				if (await refresh()) return published.keys.get(keyId) ?? null;
			} catch (error) {
				if (known === undefined || ageMs >= keptMs) throw error;
			}
			if (ageMs < (known === undefined ? freshMs : keptMs)) return known ?? null;
			throw new Error("Clerk's keys could not be read for too long.");
		},
	};
}

type Published = { keys: Map<string, string>; readAt: Date };

function createAllowance(clock: Clock): () => boolean {
	let left = readsMax;
	let countedAt = clock.now();
	return () => {
		const now = clock.now();
		left = Math.min(readsMax, left + Math.max(0, now.getTime() - countedAt.getTime()) / readEveryMs);
		countedAt = now;
		if (left < 1) return false;
		left -= 1;
		return true;
	};
}

async function fetchKeys({ secretKey, apiUrl }: Options): Promise<Map<string, string>> {
	const client = createClerkClient({ secretKey, apiUrl, telemetry: { disabled: true } });
	const { keys = [] } = await withinTime(client.jwks.getJwks());
	const signing = keys.filter(({ kid, kty }) => typeof kid === "string" && kty === "RSA");
	if (signing.length === 0) throw new Error("Clerk published no signing keys.");
	return new Map(signing.map((key) => [key.kid, toPem(key)]));
}

function toPem(key: object): string {
	const publicKey = createPublicKey({ key: key as JsonWebKey, format: "jwk" });
	return publicKey.export({ type: "spki", format: "pem" }).toString();
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
