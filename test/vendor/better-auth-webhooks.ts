import { signedStandard } from "../fixtures/better-auth/webhooks.ts";
import type { WebhookVendor } from "./webhook-site.ts";

/** Better Auth has no format of its own: the document is what was proposed for our plugin. */
export const betterAuthWebhooks: WebhookVendor = {
	name: "Better Auth",
	async check(site, read) {
		const { secret, samples, deleted_body } = await read("better-auth/proposed-webhook-samples.json");
		await site.connect("better-auth", { webhook_signing_secret: secret });
		for (const { headers, body } of samples) {
			// Said of a right signature only, and the sample's time is long over.
			site.expect("answer to the sample", await site.post("better-auth", body, headers), [
				401,
				"webhook.stale",
			]);
			const changed = await site.post("better-auth", `${body} `, headers);
			site.expect("answer to a changed sample", changed, [401, "webhook.bad_signature"]);
		}
		const bodies = [...samples.map(({ body }: { body: string }) => JSON.parse(body)), deleted_body];
		for (const [at, each] of bodies.entries()) {
			const { body, headers } = signedStandard(each, secret, { id: `msg_${at}` });
			site.expect(`answer to ${each.type}`, await site.post("better-auth", body, headers), [200, null]);
		}
		const outcomes = await site.outcomes("better-auth", bodies.length);
		site.expect("events", outcomes, ["user.created processed", "user.deleted processed"]);
		const row = await site.user(deleted_body.data.id);
		site.expect("the user's address", row?.email, bodies[0].data.email);
		site.expect("the user's deletion", row?.deleted_at, new Date(deleted_body.timestamp));
	},
};
