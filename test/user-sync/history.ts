import type { AuthProvider, ExternalUser, UserChange } from "../../src/providers/provider.ts";

/** Numbers from 0 to below 1, the same ones for each seed (mulberry32). */
export function seededRandom(seed: number) {
	let state = seed;
	const next = (): number => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
	return {
		next,
		below: (count: number) => Math.floor(next() * count),
		chance: (probability: number) => next() < probability,
		/** Takes one out of a list, from anywhere. */
		takeFrom: <Item>(items: Item[]): Item | undefined =>
			items.splice(Math.floor(next() * items.length), 1)[0],
	};
}

export type Random = ReturnType<typeof seededRandom>;

/** A provider with its users, and everything that ever happened to them in order. */
export type SimulatedProvider = {
	users: Map<string, ExternalUser>;
	history: UserChange[];
	/** Creates, updates or deletes somebody. */
	mutate(): void;
	/** The next users in the order of their creation, after that one. */
	page(after: ExternalUser | null, size: number): ExternalUser[];
};

const beganAtMs = Date.UTC(2026, 0, 1);
const ranks = { created: 1, updated: 2, deleted: 3 } as const;

/**
 * Ids are few, so that a user has a long history; where deletions are not final they come back. Changes to one user
 * may share a millisecond as far as their kinds can be told apart by rank.
 */
export function simulateProvider(
	random: Random,
	{ deletesAreFinal }: Pick<AuthProvider, "deletesAreFinal">,
): SimulatedProvider {
	const users = new Map<string, ExternalUser>();
	const history: UserChange[] = [];
	const last = new Map<string, { atMs: number; rank: number }>();
	let nowMs = beganAtMs;
	let made = 0;
	const momentFor = (id: string, kind: UserChange["kind"]): Date => {
		nowMs += random.below(2);
		const before = last.get(id);
		if (before && before.atMs === nowMs && before.rank >= ranks[kind]) nowMs += 1;
		last.set(id, { atMs: nowMs, rank: ranks[kind] });
		return new Date(nowMs);
	};
	const save = (id: string, kind: "created" | "updated") => {
		const version = momentFor(id, kind);
		const createdAt = users.get(id)?.createdAt ?? version;
		const user = userOf(id, { createdAt, updatedAt: version, content: `${kind} ${history.length}` });
		users.set(id, user);
		history.push({ kind, user, version });
	};
	return {
		users,
		history,
		mutate: () => {
			const ids = [...users.keys()];
			// Often the newest, so that a page that was just read is out of date already.
			const id = random.chance(0.5) ? ids.at(-1) : ids[random.below(ids.length)];
			if (id === undefined || random.chance(0.35)) {
				const fresh = deletesAreFinal ? `user_${made++}` : `user_${random.below(8)}`;
				save(fresh, users.has(fresh) ? "updated" : "created");
			} else if (random.chance(0.7)) save(id, "updated");
			else {
				users.delete(id);
				history.push({ kind: "deleted", userId: id, version: momentFor(id, "deleted") });
			}
		},
		page: (after, size) => {
			const sorted = [...users.values()].sort(byCreation);
			return sorted.filter((user) => after === null || byCreation(user, after) > 0).slice(0, size);
		},
	};
}

function userOf(id: string, at: { createdAt: Date; updatedAt: Date; content: string }): ExternalUser {
	return {
		id,
		email: `${id}@example.com`,
		firstName: at.content,
		lastName: null,
		username: null,
		imageUrl: null,
		createdAt: at.createdAt,
		updatedAt: at.updatedAt,
		lastSignInAt: null,
		raw: { id, content: at.content },
	};
}

function byCreation(left: ExternalUser, right: ExternalUser): number {
	const byTime = Number(left.createdAt) - Number(right.createdAt);
	return byTime || (left.id < right.id ? -1 : left.id > right.id ? 1 : 0);
}
