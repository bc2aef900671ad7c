import { accepted, connectClerk, countUsers, createEndpoint, endOfJob } from "./connect-steps.ts";
import { surviveOutage } from "./outage-steps.ts";
import type { Story } from "./story.ts";
import { must, type Summary, say } from "./telling.ts";
import { deleteUser, sendForgeries, sendOldNews, updateUser } from "./user-steps.ts";

/** How many Clerk has. */
export const users = 1000;
const outageEvents = 25;
const renamed = "user_0000042";
const removed = "user_0000043";

/** From the first start to an outage of a receiver: Clerk's users are mirrored, and what changes is passed on. */
export async function tellOfClerk(story: Story): Promise<Summary> {
	const { receiver, clerk } = story;
	say(`a stand-in for Clerk runs at ${clerk.origin}, with ${clerk.users.size} users`);

	const endpointId = await createEndpoint(story);
	say(`created webhook endpoint ${endpointId} for ${receiver.url}`);

	const { jobId, webhookReceiver } = await connectClerk(story);
	say(`connected Clerk; its webhooks go to ${webhookReceiver}`);
	const job = await endOfJob(story, jobId);
	for (const step of job.steps) say(`  job: ${step}`);
	must(job.state === "completed", `The backfill's job is ${job.state}.`);
	const mirrored = await countUsers(story);
	must(mirrored === users, `capydb_auth.users holds ${mirrored} rows and not ${users}.`);
	say(`SQL in the project's own database counts ${mirrored} users`);
	await accepted(story, "job.completed", ({ data }) => JSON.stringify(data).includes(jobId));
	say("the receiver was told: job.completed");

	const update = await updateUser(story, renamed, "Grace");
	must(update.status === 200, `Clerk's webhook was answered ${update.status}.`);
	must(update.after === "Grace", `The row says ${update.after} after the webhook.`);
	say(`user.updated came in: ${update.before} is now ${update.after}, and the receiver was told`);

	const deletion = await deleteUser(story, removed);
	must(deletion.status === 200, `Clerk's webhook was answered ${deletion.status}.`);
	must(deletion.deletedAt !== null, "The deleted user's row has no deleted_at.");
	say("user.deleted came in: the row has its deleted_at, and the receiver was told");

	const old = await sendOldNews(story, renamed, update.webhook);
	must(old.replayed === 200 && old.outOfOrder === 200, "Old news were not acknowledged.");
	must(old.state === "ignored", `The webhook from before is ${old.state}.`);
	must(old.copies === 1, `The replayed webhook was stored ${old.copies} times.`);
	must(JSON.stringify(old.before) === JSON.stringify(old.after), "Old news changed something.");
	say("the same webhook again, and one from before: both acknowledged, neither changed anything");

	const forged = await sendForgeries(story, renamed);
	must(
		forged.statuses.every((status) => status === 401),
		`Forgeries were answered ${forged.statuses}.`,
	);
	must(forged.counted === forged.statuses.length, `${forged.counted} forgeries were counted.`);
	say(`${forged.statuses.length} forged webhooks: each answered 401 and counted`);

	say(`the receiver now answers 503, while ${outageEvents} events are published`);
	const outage = await surviveOutage(story, endpointId, outageEvents);
	must(outage.delivered === outageEvents, `${outage.delivered} of ${outageEvents} events were delivered.`);
	must(outage.acceptedTwice === 0, `${outage.acceptedTwice} events were delivered twice.`);
	must(receiver.faults.length === 0, receiver.faults[0] ?? "");
	say(
		`it came back: all ${outage.delivered} delivered, after ${outage.attemptsMin} to ${outage.attemptsMax} attempts`,
	);

	const acknowledged = [update.status, deletion.status, old.replayed, old.outOfOrder];
	const taken = receiver.arrivals.filter((each) => each.answered === 200);
	return [
		["users mirrored", mirrored],
		["webhooks from Clerk: acknowledged", acknowledged.length],
		["  of these without effect (replayed, out of order)", 2],
		["  rejected (unsigned, other secret, changed, too old)", forged.statuses.length],
		["webhooks sent to the receiver (attempts)", receiver.arrivals.length],
		["  verified by svix, standardwebhooks and HMAC", receiver.arrivals.length - receiver.faults.length],
		["  answered 503 and retried", outage.refused],
		["  delivered", taken.length],
		["  distinct events delivered", new Set(taken.map((each) => each.eventId)).size],
	];
}
