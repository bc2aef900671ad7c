import { describe, expect, it } from "vitest";
import type { ClerkUser } from "../fixtures/clerk/users.ts";
import { quietTrigger } from "../support/triggers.ts";
import { seededRandom } from "../user-sync/history.ts";
import {
	type ClerkServer,
	connect,
	deliver,
	endedJob,
	newUser,
	projectSql,
	settledInbound,
	signingSecret,
	startClerkServer,
	userEvents,
} from "./clerk-server.ts";

const beganAtMs = Date.UTC(2026, 0, 1);

/** Lets the runs that change a user's row die before they can say so, from `begin` to `end`. */
async function dyingRuns({ server }: ClerkServer) {
	await quietTrigger(server, "refuse");
	await server.sql(`create trigger refuse before update on inbound_webhooks
		for each row when (new.state = 'processed') execute function refuse()`);
	return {
		begin: () =>
			server.sql(`create or replace function refuse() returns trigger language plpgsql as
				'begin raise exception ''killed''; end'`),
		end: () => quietTrigger(server, "refuse"),
	};
}

/** Changes users at the fake; each call returns the webhook that Clerk sends of it. */
function changeUsers({ clerk }: ClerkServer, random: ReturnType<typeof seededRandom>) {
	let changes = 0;
	const signed = (type: string, data: object) => clerk.signedWebhook(type, data, { secret: signingSecret });
	return () => {
		const at = beganAtMs + ++changes;
		const ids = [...clerk.users.keys()];
		const id = ids[random.below(ids.length)] ?? "";
		if (random.chance(0.3)) {
			const user = newUser({ first_name: `Made ${changes}`, created_at: at, updated_at: at });
			clerk.users.set(user.id, user as unknown as ClerkUser);
			return signed("user.created", user);
		}
		if (random.chance(0.3)) return signed("user.deleted", clerk.deleteUser(id));
		return signed("user.updated", clerk.updateUser(id, { first_name: `Changed ${changes}`, updated_at: at }));
	};
}

/** Delivers webhooks late, out of order and again. */
function startCourier({ server, tenant }: ClerkServer, random: ReturnType<typeof seededRandom>) {
	type Webhook = ReturnType<ReturnType<typeof changeUsers>>;
	const underway: Webhook[] = [];
	const arrived = new Set<Webhook>();
	const arrive = async (webhook: Webhook | undefined) => {
		if (webhook === undefined) return;
		arrived.add(webhook);
		expect((await deliver(server, tenant, webhook)).status).toBe(200);
	};
	return {
		take: async (webhook: Webhook) => {
			underway.push(webhook);
			if (random.chance(0.6)) await arrive(random.takeFrom(underway));
			if (random.chance(0.2)) await arrive([...arrived][random.below(arrived.size)]);
		},
		/** Brings the rest; returns how many there were in all. */
		finish: async () => {
			while (underway.length > 0) await arrive(random.takeFrom(underway));
			return arrived.size;
		},
	};
}

/** The job's id; null while the one before is still running. */
async function startSync({ server, tenant }: ClerkServer): Promise<string | null> {
	const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
	const { status, body } = await server.call("POST", path, { key: tenant.key });
	return status === 202 ? body.job.id : null;
}

describe("a random history over HTTP", () => {
	it("ends in Clerk's own users: late, reordered and repeated webhooks, syncs, and runs that die", async () => {
		const started = await startClerkServer(600);
		const { server, clerk, tenant } = started;
		await connect(started);
		const dying = await dyingRuns(started);
		const random = seededRandom(7);
		const change = changeUsers(started, random);
		const courier = startCourier(started, random);
		const syncs: (string | null)[] = [];
		for (let round = 0; round < 4; round++) {
			for (let step = 0; step < 10; step++) await courier.take(change());
			await dying.begin();
			for (let step = 0; step < 10; step++) await courier.take(change());
			syncs.push(await startSync(started));
			for (let step = 0; step < 10; step++) await courier.take(change());
			await dying.end();
		}
		await settledInbound(server, await courier.finish());
		const jobs = syncs.filter((id) => id !== null);
		expect(jobs).not.toEqual([]);
		for (const id of jobs) expect((await endedJob(server, tenant, id)).state).toBe("completed");
		const text = "select id, first_name from capydb_auth.users where deleted_at is null";
		const rows = await projectSql(server, tenant, text);
		const expected = [...clerk.users.values()].map(({ id, first_name }) => ({ id, first_name }));
		expect(rows.toSorted(byId)).toEqual(expected.toSorted(byId));
		const deleted = (await userEvents(server, tenant)).filter(({ type }) => type === "user.deleted");
		expect(new Set(deleted.map(({ data }) => data.user_id)).size).toBe(deleted.length);
		expect(deleted.length).toBeGreaterThan(0);
	});
});

function byId(left: { id?: unknown }, right: { id?: unknown }): number {
	return String(left.id) < String(right.id) ? -1 : 1;
}
