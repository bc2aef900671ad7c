import { describe, expect, it } from "vitest";
import { type ClerkUser, generateUser } from "../fixtures/clerk/users.ts";
import {
	type ClerkServer,
	connect,
	endedJob,
	send,
	settledInbound,
	startClerkServer,
	userEvents,
} from "../integrations/clerk-server.ts";

describe("a webhook that comes after a backfill has read what it tells", () => {
	it("announces the update, once", async () => {
		const started = await startedWith(userWith({ first_name: "Before", updated_at: later(0) }));
		const after = { ...started.user, first_name: "After", updated_at: later(1) };
		await backfill(started, after);
		for (const count of [1, 2]) {
			await send(started, "user.updated", after);
			await settledInbound(started.server, count);
		}
		expect(await announced(started)).toEqual(["user.updated After"]);
	});

	it("announces the creation and the update of a user that was new and changed", async () => {
		const started = await startedWith();
		const user = userWith({ first_name: "Created", created_at: later(1), updated_at: later(1) });
		const after = { ...user, first_name: "Updated", updated_at: later(2) };
		await backfill(started, after);
		await send(started, "user.created", user);
		await settledInbound(started.server, 1);
		await send(started, "user.updated", after);
		await settledInbound(started.server, 2);
		// With the user as it is by then: what is older is never shown as the present.
		expect(await announced(started)).toEqual(["user.created Updated", "user.updated Updated"]);
	});

	it("announces neither again when their order was another and they had been told before", async () => {
		const started = await startedWith();
		const user = userWith({ first_name: "Created", created_at: later(1), updated_at: later(1) });
		const second = { ...user, first_name: "Second", updated_at: later(2) };
		await send(started, "user.updated", second);
		await settledInbound(started.server, 1);
		await backfill(started, { ...second, first_name: "Third", updated_at: later(3) });
		await send(started, "user.created", user);
		await send(started, "user.updated", second);
		const rows = await settledInbound(started.server, 3);
		expect(rows.map(({ state }) => state)).toEqual(["processed", "ignored", "ignored"]);
		expect(await announced(started)).toEqual(["user.created Second"]);
	});

	it("announces the deletion, once", async () => {
		const started = await startedWith(userWith({ first_name: "Gone" }));
		started.clerk.deleteUser(started.user.id);
		await backfill(started);
		for (const count of [1, 2]) {
			await send(started, "user.deleted", { id: started.user.id, object: "user", deleted: true });
			await settledInbound(started.server, count);
		}
		expect(await announced(started)).toEqual(["user.deleted Gone"]);
	});

	it("announces the creation of a user that it has not told of, whichever of its webhooks comes first", async () => {
		const started = await startedWith();
		const user = userWith({ first_name: "Created", created_at: later(1), updated_at: later(1) });
		const after = { ...user, first_name: "Updated", updated_at: later(2) };
		await backfill(started, after);
		await send(started, "user.updated", after);
		await settledInbound(started.server, 1);
		await send(started, "user.created", user);
		await settledInbound(started.server, 2);
		expect(await announced(started)).toEqual(["user.created Updated"]);
	});

	it("announces nothing that changed before the provider was connected", async () => {
		const started = await startedWith(userWith({ updated_at: Date.now() - 60_000 }));
		await send(started, "user.updated", started.user);
		await settledInbound(started.server, 1);
		expect(await announced(started)).toEqual([]);
	});
});

/** Later than whatever has happened by now, in this order. */
const later = (order: number) => Date.now() + order * 1_000;

function userWith(changes: Partial<ClerkUser>): ClerkUser {
	return { ...generateUser(0), ...changes };
}

/** Connected to a Clerk that has this user, who has been read. */
async function startedWith(user = generateUser(1)): Promise<ClerkServer & { user: ClerkUser }> {
	const started = await startClerkServer(0);
	started.clerk.users.set(user.id, user);
	await connect(started);
	return { ...started, user };
}

/** Has all users read, after that one has changed. */
async function backfill({ server, clerk, tenant }: ClerkServer, changed?: ClerkUser): Promise<void> {
	if (changed) clerk.users.set(changed.id, changed);
	const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
	const { body } = await server.call("POST", path, { key: tenant.key });
	expect(await endedJob(server, tenant, body.job.id)).toMatchObject({ state: "completed" });
}

async function announced({ server, tenant }: ClerkServer): Promise<string[]> {
	const events = await userEvents(server, tenant);
	return events.map(({ type, data }) => `${type} ${data.user.first_name}`);
}
