import type { Operation } from "../api/operations.ts";
import type { World } from "../api/world.ts";
import { signedDelivery as signedByNetlify } from "../fakes/netlify/hooks.ts";
import { signedDelivery as signedByVercel } from "../fakes/vercel/events.ts";
import { auth0User, logEntry, streamEvent } from "../fixtures/auth0/webhooks.ts";
import { betterAuthUser, signedSimply, signedStandard } from "../fixtures/better-auth/webhooks.ts";
import { netlifyDeploy, netlifyEvents } from "../fixtures/netlify/deploys.ts";
import { endedJob, newUser, signingSecret } from "../integrations/clerk-server.ts";
import type { Random } from "./random.ts";
import { mutate, nastyString, nastyValue } from "./values.ts";

export type Message = { path: string; headers: Record<string, string>; body: string };

/** Connects both platforms to the other tenant's project, whose providers the walk speaks for. */
export async function connectPlatforms({ server, vercel, netlify, theirs }: World): Promise<void> {
	const connects = [
		["vercel", { vercel_project_id: vercel.project.id, team_id: vercel.teamId, token: vercel.token }],
		["netlify", { site_id: netlify.site.id, token: netlify.token }],
	] as const;
	for (const [provider, body] of connects) {
		const answer = await server.call(
			"POST",
			`/v1/projects/${theirs.projectId}/integrations/${provider}/connect`,
			{
				body: { ...body, preview_branches: true },
			},
		);
		if (answer.status !== 201) throw new Error(`${provider} was refused: ${answer.text}`);
		await endedJob(server, theirs, answer.body.job.id);
	}
}

/** What the provider could send, damaged and then signed as it signs; null for what is not a provider's. */
export function messageOf(random: Random, operation: Operation, world: World): Message | null {
	const changed = <Value>(value: Value): object => {
		const times = random.below(3);
		let result: unknown = value;
		for (let at = 0; at < times; at += 1) result = mutate(random, result);
		return result as object;
	};
	const at = (provider: string) => `/v1/integrations/${provider}/webhook/${world.theirs.projectId}`;
	const verb = random.pick(["created", "updated", "deleted"]);
	switch (operation.id) {
		case "receiveClerk": {
			const type = random.chance(0.9) ? `user.${verb}` : nastyString(random);
			const signed = world.clerk.signedWebhook(type, changed(newUser()), { secret: signingSecret });
			return { path: at("clerk"), ...signed };
		}
		case "receiveAuth0": {
			const event = random.pick<() => unknown>([
				() => streamEvent(`user.${verb}`, auth0User()),
				() => [logEntry("ss"), logEntry("sdu")],
				() => ({ event: `user.${verb}`, user: auth0User() }),
				() => nastyValue(random),
			])();
			const headers = { authorization: `Bearer ${signingSecret}` };
			return { path: at("auth0"), headers, body: JSON.stringify(changed(event)) };
		}
		case "receiveBetterAuth": {
			const event = changed({ event: `user.${verb}`, user: betterAuthUser({ id: `u${random.below(50)}` }) });
			const signed = random.chance(0.5)
				? signedSimply(event, signingSecret)
				: signedStandard(event, signingSecret, { id: `msg_${random.below(1e6)}` });
			return { path: at("better-auth"), ...signed };
		}
		case "receiveVercel":
			return vercelMessage(random, world, changed);
		case "receiveNetlify":
			return netlifyMessage(random, world, changed);
		default:
			return null;
	}
}

type Change = <Value>(value: Value) => object;

function vercelMessage(random: Random, { vercel, theirs }: World, changed: Change): Message | null {
	const hook = [...vercel.hooks.values()].find(({ url }) => url.includes(theirs.projectId));
	const project = vercel.projects.get(vercel.project.id);
	if (!hook || !project) return null;
	const { deployment } = vercel.deploy(project, { branch: null });
	const event = vercel.finish(deployment, random.pick(["ready", "error", "canceled", "promoted"]));
	const { pathname: path } = new URL(hook.url);
	return { path, ...signedByVercel(hook.secret, changed(event)) };
}

function netlifyMessage(random: Random, { netlify, theirs }: World, changed: Change): Message | null {
	const hooks = [...netlify.hooks.values()].filter(({ data }) => data.url.includes(theirs.projectId));
	if (hooks.length === 0) return null;
	const { data, event } = random.pick(hooks);
	const { pathname, search } = new URL(data.url);
	const deploy = netlifyDeploy({
		id: `deploy${random.below(1e6)}`,
		site_id: netlify.site.id,
		updated_at: new Date().toISOString(),
		context: "production",
	});
	const named = random.chance(0.8) ? event : random.pick(netlifyEvents);
	const signed = signedByNetlify(named, changed(deploy) as typeof deploy, data.signature_secret);
	return { path: `${pathname}${search}`, ...signed };
}
