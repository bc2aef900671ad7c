import { createHash } from "node:crypto";
import { createRoom, type Room } from "../core/room.ts";
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
	key: string;
	target: ProjectDatabaseTarget;
	idle: { connection: ProjectConnection; timer: NodeJS.Timeout }[];
	isForgotten: boolean;
};

const connectionsMax = 4;
const connectionsOfServerMax = 20;
const targetsMax = 50;
const idleMs = 5_000;

/**
 * Keeps connections to customers' databases for a few seconds, of 50 targets. At most 4 of a target are lent, and at
 * most 20 are open to one Postgres, which may be ours: most targets are databases of one.
 */
export function createProjectPool(guard: Pick<AddressGuard, "resolve">): ProjectPool {
	// In the order of last use: the first is the one that was quiet for longest.
	const lanes = new Map<string, Lane>();
	const lent = createRoom(connectionsMax);
	const open = createRoom(connectionsOfServerMax);
	const discard = (lane: Lane) => {
		lane.isForgotten = true;
		if (lanes.get(lane.key) === lane) lanes.delete(lane.key);
		endIdle(open, lane);
	};
	const enter = (target: ProjectDatabaseTarget): Lane => {
		const key = keyOf(target);
		const lane = lanes.get(key) ?? { key, target, idle: [], isForgotten: false };
		lanes.delete(key);
		lanes.set(key, lane);
		for (const quiet of lanes.values()) {
			if (lanes.size <= targetsMax) break;
			if (quiet !== lane && !lent.isTaken(quiet.key)) discard(quiet);
		}
		return lane;
	};
	const connect = async (lane: Lane): Promise<ProjectConnection> => {
		const server = serverOf(lane.target);
		for (const quiet of lanes.values()) {
			if (!open.isFull(server)) break;
			if (serverOf(quiet.target) === server) endIdle(open, quiet);
		}
		await open.enter(server);
		try {
			return await connectToProject(lane.target, guard);
		} catch (error) {
			open.leave(server);
			throw error;
		}
	};
	const giveBack = (lane: Lane, connection: ProjectConnection, isClean: boolean) => {
		// Also when somebody waits for this very target: no target keeps others from its server by being in demand.
		const isWanted = !lane.isForgotten && !open.isWaitedFor(serverOf(lane.target));
		if (isClean && isWanted && !connection.isBroken()) keep(open, lane, connection);
		else end(open, lane, connection);
		lent.leave(lane.key);
	};
	return {
		borrow: async (target) => {
			const lane = enter(target);
			await lent.enter(lane.key);
			try {
				const connection = takeIdle(open, lane) ?? (await connect(lane));
				return { connection, giveBack: (isClean) => giveBack(lane, connection, isClean) };
			} catch (error) {
				lent.leave(lane.key);
				throw error;
			}
		},
		forget: (isMeant) => {
			for (const lane of [...lanes.values()]) if (isMeant(lane.target)) discard(lane);
		},
		close: () => {
			for (const lane of [...lanes.values()]) discard(lane);
		},
	};
}

function serverOf({ host, port }: ProjectDatabaseTarget): string {
	return `${host}:${port}`;
}

/** The password is part of it: a changed one never meets a connection that was made with the old one. */
function keyOf(target: ProjectDatabaseTarget): string {
	const parts = [target.host, target.port, target.user, target.password, target.database, target.sslMode];
	const text = JSON.stringify([...parts, target.options, target.isTenantNamed]);
	return createHash("sha256").update(text).digest("base64");
}

function end(open: Room, lane: Lane, connection: ProjectConnection): void {
	connection.destroy();
	open.leave(serverOf(lane.target));
}

function endIdle(open: Room, lane: Lane): void {
	for (let kept = takeIdle(open, lane); kept; kept = takeIdle(open, lane)) end(open, lane, kept);
}

function takeIdle(open: Room, lane: Lane): ProjectConnection | null {
	for (let kept = lane.idle.pop(); kept; kept = lane.idle.pop()) {
		clearTimeout(kept.timer);
		if (!kept.connection.isBroken()) return kept.connection;
		end(open, lane, kept.connection);
	}
	return null;
}

function keep(open: Room, lane: Lane, connection: ProjectConnection): void {
	const kept = { connection, timer: setTimeout(() => drop(), idleMs) };
	const drop = () => {
		lane.idle.splice(lane.idle.indexOf(kept), 1);
		end(open, lane, connection);
	};
	kept.timer.unref();
	lane.idle.push(kept);
}
