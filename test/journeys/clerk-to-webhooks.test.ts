import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isServerType } from "../../src/events/event-types.ts";
import { accepted, connectClerk, countUsers, createEndpoint, endOfJob } from "../demo/connect-steps.ts";
import { surviveOutage } from "../demo/outage-steps.ts";
import { createClosers, openStory, type Story } from "../demo/story.ts";
import { deleteUser, sendForgeries, sendOldNews, updateUser } from "../demo/user-steps.ts";
import { faultsOf } from "../events/catalogue.ts";

/** The story that `npm run demo` tells: each step stands on the ones before it. */
describe("from Clerk to a verified webhook, with the real server as a process", () => {
	const closers = createClosers();
	let story: Story;
	let endpointId = "";
	let update: Awaited<ReturnType<typeof updateUser>>;

	beforeAll(async () => {
		story = await openStory(1000, closers);
		endpointId = await createEndpoint(story);
	});

	afterAll(() => closers.closeAll());

	it("mirrors every user of Clerk into the project's own database", async () => {
		const { jobId, state, webhookReceiver } = await connectClerk(story);
		expect(state).toBe("active");
		expect(webhookReceiver).toBe(`${story.server.url}/v1/integrations/clerk/webhook/${story.projectId}`);
		expect(await endOfJob(story, jobId)).toEqual({
			state: "completed",
			steps: [`validated project default (${story.projectId})`, "backfilled 1,000 users"],
		});
		expect(await countUsers(story)).toBe(1000);
		await accepted(story, "integration.connected");
		const completed = await accepted(story, "job.completed", ({ data }) =>
			JSON.stringify(data).includes(jobId),
		);
		expect(completed.data).toMatchObject({ job: { id: jobId, state: "completed" } });
	});

	it("changes the row of a user that Clerk says was updated, and announces it", async () => {
		update = await updateUser(story, "user_0000042", "Grace");
		expect(update).toMatchObject({ status: 200, before: "瑞", after: "Grace" });
		expect(update.announced).toMatchObject({
			provider: "clerk",
			user_id: "user_0000042",
			project_id: story.projectId,
			user: { id: "user_0000042", first_name: "Grace", deleted_at: null },
		});
		expect(JSON.stringify(update.announced)).not.toContain("private");
	});

	it("keeps the row of a deleted user with its deleted_at, and announces it", async () => {
		const deletion = await deleteUser(story, "user_0000043");
		expect(deletion).toMatchObject({ status: 200, deletedAt: expect.any(Date) });
		expect(deletion.announced).toMatchObject({ provider: "clerk", user_id: "user_0000043" });
		expect(await countUsers(story)).toBe(999);
	});

	it("acknowledges a replayed and an outdated webhook, and lets neither change anything", async () => {
		const old = await sendOldNews(story, "user_0000042", update.webhook);
		expect(old).toMatchObject({ replayed: 200, outOfOrder: 200, copies: 1, state: "ignored" });
		expect(old.after).toEqual(old.before);
	});

	it("answers 401 to what Clerk did not sign, and counts it", async () => {
		const forged = await sendForgeries(story, "user_0000042");
		expect(forged).toEqual({ statuses: [401, 401, 401, 401], counted: 4 });
	});

	it("delivers everything that was published while the receiver was down, once it is back", async () => {
		const outage = await surviveOutage(story, endpointId, 25);
		expect(outage).toMatchObject({ delivered: 25, acceptedTwice: 0 });
		expect(outage.refused).toBeGreaterThanOrEqual(50);
		expect(outage.attemptsMin).toBeGreaterThanOrEqual(3);
	});

	it("has signed every attempt so that svix, standardwebhooks and a plain HMAC accept it", () => {
		expect(story.receiver.faults).toEqual([]);
		expect(story.receiver.arrivals.length).toBeGreaterThanOrEqual(25 * 3 + 4);
	});

	it("has sent nothing that the catalogue of event types does not describe", () => {
		for (const { eventId, type, data } of story.receiver.arrivals) {
			// What the story publishes itself is a publisher's own.
			if (!isServerType(type)) continue;
			const envelope = { id: eventId, type, created_at: new Date().toISOString(), data };
			expect(faultsOf(envelope)).toBeNull();
		}
	});

	it("ends with exit code 0 on SIGTERM", async () => {
		expect(await story.close()).toEqual({ code: 0, signal: null });
	});
});
