import { randomUUID } from "node:crypto";
import { until } from "../support/until.ts";
import { accepted } from "./connect-steps.ts";
import type { Story } from "./story.ts";

type Signed = { headers: Record<string, string>; body: string };

/** Posts a webhook to the address that the integration shows, as Clerk does. Returns the status of the answer. */
async function deliver({ server, projectId }: Story, { headers, body }: Signed): Promise<number> {
	const url = `${server.url}/v1/integrations/clerk/webhook/${projectId}`;
	const response = await fetch(url, { method: "POST", headers, body });
	await response.arrayBuffer();
	return response.status;
}

/** A user is renamed at Clerk, whose signed webhook arrives. Returns it too, for `replayWebhook`. */
export async function updateUser(story: Story, id: string, firstName: string) {
	const before = await nameOf(story, id);
	const user = story.clerk.updateUser(id, { first_name: firstName });
	const webhook = story.clerk.signedWebhook("user.updated", user, { secret: story.signingSecret });
	const status = await deliver(story, webhook);
	const announced = await accepted(story, "user.updated", ({ data }) => data.user_id === id);
	return { status, before, after: await nameOf(story, id), announced: announced.data, webhook };
}

/** A user is deleted at Clerk. */
export async function deleteUser(story: Story, id: string) {
	const data = story.clerk.deleteUser(id);
	const webhook = story.clerk.signedWebhook("user.deleted", data, { secret: story.signingSecret });
	const status = await deliver(story, webhook);
	const announced = await accepted(story, "user.deleted", (arrival) => arrival.data.user_id === id);
	const [row] = await story.sql("select deleted_at from capydb_auth.users where id = $1", [id]);
	return { status, deletedAt: row?.deleted_at ?? null, announced: announced.data };
}

/**
 * The same webhook again, and then one with news that are older than the row: both are acknowledged and neither
 * changes anything. One integration's webhooks take effect in order: when the second has, so has the first.
 */
export async function sendOldNews(story: Story, id: string, webhook: Signed) {
	const before = await stateOf(story, id);
	const replayed = await deliver(story, webhook);
	const user = story.clerk.users.get(id);
	const old = { ...user, first_name: "Yesterday", updated_at: Number(user?.updated_at) - 60_000 };
	const lateId = `msg_late_${randomUUID()}`;
	const late = story.clerk.signedWebhook("user.updated", old, { secret: story.signingSecret, id: lateId });
	const outOfOrder = await deliver(story, late);
	const received = await until(
		async () => {
			const { events } = await inbound(story);
			return events.find((each) => each.provider_event_id === lateId && each.state !== "received") ?? null;
		},
		{ what: "the end of the webhook from before" },
	);
	const { events } = await inbound(story);
	const copies = events.filter((each) => each.provider_event_id === webhook.headers["svix-id"]).length;
	return { replayed, outOfOrder, copies, state: received.state, before, after: await stateOf(story, id) };
}

/** Webhooks that nobody at Clerk signed: no signature, another secret, a body changed on the way, one too old. */
export async function sendForgeries(
	story: Story,
	id: string,
): Promise<{ statuses: number[]; counted: number }> {
	const { clerk, signingSecret } = story;
	const user = { ...clerk.users.get(id), first_name: "Mallory", updated_at: Date.now() };
	const genuine = clerk.signedWebhook("user.updated", user, { secret: signingSecret });
	const otherSecret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
	const tenMinutesAgo = new Date(Date.now() - 600_000);
	const forgeries: Signed[] = [
		{ headers: { "content-type": "application/json" }, body: genuine.body },
		clerk.signedWebhook("user.updated", user, { secret: otherSecret }),
		{ headers: genuine.headers, body: genuine.body.replace("Mallory", "Malice") },
		clerk.signedWebhook("user.updated", user, { secret: signingSecret, at: tenMinutesAgo }),
	];
	const statuses: number[] = [];
	for (const forgery of forgeries) statuses.push(await deliver(story, forgery));
	const counted = await until(
		async () => {
			const { rejections } = await inbound(story);
			return rejections.total >= forgeries.length ? rejections.total : null;
		},
		{ what: `${forgeries.length} counted rejections` },
	);
	return { statuses, counted };
}

type Inbound = {
	events: { provider_event_id: string; state: string }[];
	rejections: { total: number };
};

function inbound({ call, projectId }: Story): Promise<Inbound> {
	return call("GET", `/v1/projects/${projectId}/integrations/clerk/events`);
}

async function nameOf({ sql }: Story, id: string): Promise<unknown> {
	const [row] = await sql("select first_name from capydb_auth.users where id = $1", [id]);
	return row?.first_name ?? null;
}

/** The row as text, and how many events the server has published about users. */
async function stateOf({ sql, call, organizationId }: Story, id: string) {
	const [row] = await sql("select to_jsonb(u)::text as row from capydb_auth.users u where id = $1", [id]);
	const { events } = await call("GET", `/v1/organizations/${organizationId}/events?type=user.updated`);
	return { row: row?.row ?? null, events: events.length };
}
