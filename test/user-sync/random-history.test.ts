import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ProjectId } from "../../src/core/ids.ts";
import type { Project } from "../../src/projects/project.ts";
import { useProjectDatabase } from "../../src/projects/use-project-database.ts";
import type { ExternalUser, UserChange } from "../../src/providers/provider.ts";
import {
	applyUserChanges,
	type ChangeResult,
	type RequestedChange,
} from "../../src/user-sync/apply-user-changes.ts";
import { deleteAbsentUsers } from "../../src/user-sync/delete-absent-users.ts";
import { ensureAuthSchema } from "../../src/user-sync/ensure-auth-schema.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { type Random, type SimulatedProvider, seededRandom, simulateProvider } from "./history.ts";

let server: TestServer;
let project: Project;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	const { projectId } = await server.tenant();
	project = (await server.ctx.stores.projects.find(projectId as ProjectId)) as Project;
});

afterAll(() => server.close());

beforeEach(() => emptySchema());

const providers = [
	{ id: "clerk", deletesAreFinal: true },
	{ id: "auth0", deletesAreFinal: false },
];
const seeds = Array.from({ length: 8 }, (_, index) => index + 1);
const cases = providers.flatMap((provider) => seeds.map((seed) => [provider.id, seed, provider] as const));

describe("a random history of users", () => {
	it.each(cases)("of %s, seed %i, ends in the table of the sorted history", async (_id, seed, provider) => {
		const random = seededRandom(seed);
		const source = simulateProvider(random, provider);
		const mirror = startMirror(random, source, provider);
		for (let step = 0; step < 60; step++) {
			if (random.chance(0.05)) await mirror.backfill();
			else await mirror.step();
		}
		// Not always: a backfill at the end would hide what one before has spoiled.
		if (random.chance(0.5)) await mirror.backfill();
		await mirror.drain();
		expect(mirror.unannounced()).toEqual([]);
		const table = await readTable();
		await emptySchema();
		await apply(
			provider,
			source.history.map((change, at) => ({ change, eventId: eventIdOf(at) })),
		);
		expect(table).toEqual(await readTable());
		expect(table.filter((row) => !row.is_deleted)).toEqual([...source.users.values()].map(rowOf).sort(byId));
	});
});

type Provider = (typeof providers)[number];

/** What stands between the provider and the table: events come late, out of order, again, and runs die. */
function startMirror(random: Random, source: SimulatedProvider, provider: Provider) {
	/** Sent and not come yet; how much of the history that is. */
	const underway: UserChange[] = [];
	let sent = 0;
	/** Come and not settled yet, in the order in which they came. */
	const waiting: RequestedChange[] = [];
	const arrived: UserChange[] = [];
	let lastEvent = 0;
	const said = new Map<string | null, string>();
	/** By user, what was said last; and every moment of a user that was told. */
	const lastSaid = new Map<string, string>();
	const told = new Set<string>();

	const arrive = (change: UserChange | undefined) => {
		if (change === undefined) return;
		waiting.push({ change, eventId: eventIdOf(lastEvent++) });
		arrived.push(change);
	};
	const send = () => {
		underway.push(...source.history.slice(sent));
		sent = source.history.length;
	};
	const applySome = async (count: number) => {
		const batch = waiting.slice(0, count);
		if (batch.length === 0) return;
		for (const result of await apply(provider, batch)) {
			// A run that died before it announced anything hears the same when it is run again.
			const before = said.get(result.eventId);
			const kind = announcementOf(result);
			if (before !== undefined) expect(kind).toBe(before);
			said.set(result.eventId, kind);
			if (before !== undefined || kind === "nothing") continue;
			lastSaid.set(userIdOf(result.change), kind);
			told.add(momentOf(result.change));
		}
		if (!random.chance(0.3)) waiting.splice(0, batch.length);
	};
	const step = async () => {
		const dice = random.next();
		if (dice < 0.4) source.mutate();
		else if (dice < 0.65) arrive(random.takeFrom(underway));
		else if (dice < 0.75) arrive(arrived[random.below(arrived.length)]);
		else await applySome(1 + random.below(6));
		send();
	};
	return {
		step,
		/** As backfill-users.ts does it, with everything else going on between reading and writing a page. */
		backfill: async () => {
			const begun = await ensureAuthSchema(server.ctx, project);
			let readAt = begun.at;
			let after: ExternalUser | null = null;
			for (;;) {
				const page = source.page(after, 3);
				for (let count = random.below(10); count > 0; count--) await step();
				const died = random.chance(0.2);
				readAt = (await applyPage(provider, page, readAt)) ?? readAt;
				if (died) continue;
				if (page.length < 3) break;
				after = page.at(-1) ?? null;
			}
			await deleteAbsentUsers(server.ctx, { project, provider: provider.id, begunAt: begun.at });
		},
		/** Until everything has come and has taken effect. */
		drain: async () => {
			while (underway.length > 0) arrive(random.takeFrom(underway));
			while (waiting.length > 0) await applySome(1 + random.below(20));
		},
		/** Users of whose last change nobody was told, also where a backfill wrote it first. One deletion is enough. */
		unannounced: () => {
			const last = new Map(source.history.map((change) => [userIdOf(change), change]));
			return [...last].filter(([id, change]) =>
				change.kind === "deleted" ? lastSaid.get(id) !== "deleted" : !told.has(momentOf(change)),
			);
		},
	};
}

async function apply(provider: Provider, changes: RequestedChange[]): Promise<ChangeResult[]> {
	const input = { project, provider, others: [], changes, readAt: null, newsSince: new Date(0) };
	return (await applyUserChanges(server.ctx, input)).results;
}

async function applyPage(provider: Provider, page: ExternalUser[], readAt: Date): Promise<Date | null> {
	const changes = page.map((user) => ({
		change: { kind: "updated" as const, user, version: user.updatedAt ?? readAt },
		eventId: null,
	}));
	const input = { project, provider, others: [], changes, readAt, newsSince: null };
	const { at } = await applyUserChanges(server.ctx, input);
	return at;
}

function announcementOf(result: ChangeResult): string {
	return result.outcome === "changed" ? result.kind : "nothing";
}

function userIdOf(change: UserChange): string {
	return change.kind === "deleted" ? change.userId : change.user.id;
}

function momentOf(change: UserChange): string {
	return `${userIdOf(change)} at ${change.version.toISOString()}`;
}

function eventIdOf(position: number): string {
	return `inb_${String(position).padStart(6, "0")}`;
}

type Row = { id: string; is_deleted: boolean; first_name?: string | null; email?: string | null };

/** Of the deleted only that they are: what was known of them depends on what came before the deletion. */
async function readTable(): Promise<Row[]> {
	const rows = await sql(`select id, deleted_at is not null as is_deleted, first_name, email,
		created_at, updated_at, raw from capydb_auth.users`);
	return (rows as Row[]).map((row) => (row.is_deleted ? { id: row.id, is_deleted: true } : row)).sort(byId);
}

function rowOf(user: ExternalUser): Row & Record<string, unknown> {
	const { id, firstName, email, createdAt, updatedAt, raw } = user;
	return {
		id,
		is_deleted: false,
		first_name: firstName,
		email,
		created_at: createdAt,
		updated_at: updatedAt,
		raw,
	};
}

function byId(left: Row, right: Row): number {
	return left.id < right.id ? -1 : 1;
}

function sql(text: string): Promise<Record<string, unknown>[]> {
	return useProjectDatabase(server.ctx, project, (client) => client.query(text));
}

async function emptySchema(): Promise<void> {
	await sql("drop schema if exists capydb_auth cascade");
	await ensureAuthSchema(server.ctx, project);
}
