import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { ClerkUser } from "../fixtures/clerk/users.ts";
import { generateUser } from "../fixtures/clerk/users.ts";
import type { Random } from "../hostile/random.ts";
import type { Site } from "./site.ts";
import { endOfJob, type Tenant } from "./tenants.ts";

export type Inbound = {
	projectId: string;
	/** Of the webhooks that were answered with a 200. */
	takenIds: Set<string>;
	/** Users that changed or were deleted. */
	touched: Set<string>;
	stop(): Promise<void>;
};

const signingSecret = `whsec_${randomBytes(32).toString("base64")}`;
const senders = 3;
const readingEveryMs = 1_500;
/** Over all loads of this process: Clerk gives the id of a deleted user to nobody else, and a deletion is final. */
let lastGenerated = 1_000;

export async function connectClerk(site: Site, { key }: Tenant, projectId: string): Promise<string> {
	const body = { secret_key: site.clerk.secretKey, webhook_signing_secret: signingSecret };
	const path = `/v1/projects/${projectId}/integrations/clerk/connect`;
	const { job } = await site.insist(201, "POST", path, { key, body });
	return job.id;
}

/**
 * Changes users at Clerk without pause, and sends each change as Clerk's sender does: again until it is taken.
 * Meanwhile all users are read again and again.
 */
export async function startInbound(
	site: Site,
	tenant: Tenant,
	projectId: string,
	random: Random,
): Promise<Inbound> {
	await endOfJob(site, tenant, await connectClerk(site, tenant, projectId));
	const takenIds = new Set<string>();
	const touched = new Set<string>();
	let isOver = false;
	let at = Date.now();
	const change = createChanges(site, random, () => {
		// No two changes at one moment: which is the later one could not be told.
		at = Math.max(at + 1, Date.now());
		return at;
	});
	const send = async () => {
		const { type, data } = change();
		touched.add(data.id);
		const id = `msg_${randomBytes(8).toString("hex")}`;
		const how = { secret: signingSecret, id, at: new Date(at) };
		const { headers, body: rawBody } = site.clerk.signedWebhook(type, data, how);
		await site.insist(200, "POST", `/v1/integrations/clerk/webhook/${projectId}`, { headers, rawBody });
		takenIds.add(id);
		await pause(20);
	};
	const readAll = async () => {
		const path = `/v1/projects/${projectId}/integrations/clerk/sync`;
		await site.insist([202, 409], "POST", path, { key: tenant.key });
		await pause(readingEveryMs);
	};
	const repeat = async (action: () => Promise<void>) => {
		while (!isOver) await action();
	};
	const working = Promise.all([...Array.from({ length: senders }, () => send), readAll].map(repeat));
	working.catch(() => undefined);
	return {
		projectId,
		takenIds,
		touched,
		stop: async () => {
			isOver = true;
			await working;
		},
	};
}

function createChanges({ clerk }: Site, random: Random, nextMs: () => number) {
	return (): { type: string; data: { id: string } } => {
		const at = nextMs();
		if (random.chance(0.15)) {
			lastGenerated += 1;
			const user: ClerkUser = { ...generateUser(lastGenerated), created_at: at, updated_at: at };
			clerk.users.set(user.id, user);
			return { type: "user.created", data: user };
		}
		const id = random.pick([...clerk.users.keys()]);
		if (random.chance(0.1)) return { type: "user.deleted", data: clerk.deleteUser(id) };
		const changes = { first_name: `Ada ${at}`, updated_at: at };
		return { type: "user.updated", data: clerk.updateUser(id, changes) };
	};
}
