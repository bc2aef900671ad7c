import { createHash } from "node:crypto";
import type { AddressGuard } from "./address-guard.ts";
import {
	connectToProject,
	type ProjectConnection,
	type ProjectDatabaseTarget,
} from "./project-connection.ts";

export type ProjectPool = {
	/** Lends a connection; waits for one when all are lent. Give each back with `giveBack`. */
	borrow(target: ProjectDatabaseTarget): Promise<Loan>;
	/** Ends the idle connections to these targets, and the lent ones when they come back. */
	forget(isMeant: (target: ProjectDatabaseTarget) => boolean): void;
	/** Ends every connection; lent ones when they come back. */
	close(): void;
};

export type Loan = {
	connection: ProjectConnection;
	/** A connection whose state is not known to be clean is ended instead of kept. */
	giveBack(isClean: boolean): void;
};

type Lane = {
	target: ProjectDatabaseTarget;
	idle: { connection: ProjectConnection; timer: NodeJS.Timeout }[];
	lent: number;
	waiting: (() => void)[];
	isForgotten: boolean;
};

const connectionsMax = 4;
const targetsMax = 50;
const idleMs = 5_000;

/** Keeps connections to customers' databases for a few seconds: at most 4 a target, and 50 targets. */
export function createProjectPool(guard: Pick<AddressGuard, "resolve">): ProjectPool {
	// In the order of last use: the first is the one that was quiet for longest.
	const lanes = new Map<string, Lane>();
	const discard = (key: string, lane: Lane) => {
		lane.isForgotten = true;
		if (lanes.get(key) === lane) lanes.delete(key);
		for (const { connection, timer } of lane.idle.splice(0)) {
			clearTimeout(timer);
			connection.destroy();
		}
	};
	const enter = (target: ProjectDatabaseTarget): Lane => {
		const key = keyOf(target);
		const lane = lanes.get(key) ?? { target, idle: [], lent: 0, waiting: [], isForgotten: false };
		lanes.delete(key);
		lanes.set(key, lane);
		for (const [other, quiet] of lanes) {
			if (lanes.size <= targetsMax) break;
			if (quiet.lent === 0) discard(other, quiet);
		}
		return lane;
	};
	return {
		borrow: async (target) => {
			const lane = enter(target);
			await admit(lane);
			try {
				const connection = takeIdle(lane) ?? (await connectToProject(target, guard));
				return { connection, giveBack: (isClean) => giveBack(lane, connection, isClean) };
			} catch (error) {
				leave(lane);
				throw error;
			}
		},
		forget: (isMeant) => {
			for (const [key, lane] of [...lanes]) if (isMeant(lane.target)) discard(key, lane);
		},
		close: () => {
			for (const [key, lane] of [...lanes]) discard(key, lane);
		},
	};
}

/** The password is part of it: a changed one never meets a connection that was made with the old one. */
function keyOf(target: ProjectDatabaseTarget): string {
	const parts = [target.host, target.port, target.user, target.password, target.database, target.sslMode];
	const text = JSON.stringify([...parts, target.options, target.isTenantNamed]);
	return createHash("sha256").update(text).digest("base64");
}

async function admit(lane: Lane): Promise<void> {
	if (lane.lent < connectionsMax) {
		lane.lent += 1;
		return;
	}
	// The place of the one that leaves is handed over as it is, so `lent` does not change.
	const { promise, resolve } = Promise.withResolvers<void>();
	lane.waiting.push(resolve);
	await promise;
}

function leave(lane: Lane): void {
	const next = lane.waiting.shift();
	if (next) next();
	else lane.lent -= 1;
}

function takeIdle(lane: Lane): ProjectConnection | null {
	for (let kept = lane.idle.pop(); kept; kept = lane.idle.pop()) {
		clearTimeout(kept.timer);
		if (!kept.connection.isBroken()) return kept.connection;
		kept.connection.destroy();
	}
	return null;
}

function giveBack(lane: Lane, connection: ProjectConnection, isClean: boolean): void {
	if (!isClean || lane.isForgotten || connection.isBroken()) connection.destroy();
	else {
		const kept = { connection, timer: setTimeout(() => end(), idleMs) };
		const end = () => {
			lane.idle.splice(lane.idle.indexOf(kept), 1);
			connection.destroy();
		};
		kept.timer.unref();
		lane.idle.push(kept);
	}
	leave(lane);
}
