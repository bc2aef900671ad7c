import { randomBytes } from "node:crypto";
import { Webhook } from "svix";
import type { WebhookVendor } from "./webhook-site.ts";

type Example = { type: string; data: { id: string; first_name?: string } };

export const clerkWebhooks: WebhookVendor = {
	name: "Clerk",
	async check(site, read) {
		const documented = (await read("clerk/official/webhook-examples.json")).examples;
		const examples = Object.values<Example>(documented);
		const secret = `whsec_${randomBytes(32).toString("base64")}`;
		await site.connect("clerk", { webhook_signing_secret: secret });
		for (const [at, example] of examples.entries()) {
			const body = JSON.stringify(example);
			const [id, now] = [`msg_${at}`, new Date()];
			const headers = {
				"svix-id": id,
				"svix-timestamp": String(Math.floor(now.getTime() / 1000)),
				"svix-signature": new Webhook(secret).sign(id, now, body),
			};
			site.expect(`answer to ${example.type}`, await site.post("clerk", body, headers), [200, null]);
			// One by one: the last change of the official user is later than the deletion, which is final.
			await site.outcomes("clerk", at + 1);
		}
		const outcomes = await site.outcomes("clerk", examples.length);
		const expected = examples.map(
			({ type }) => `${type} ${type.startsWith("user.") ? "processed" : "ignored"}`,
		);
		site.expect("events", outcomes, expected);
		const created = documented["user.created"];
		const row = await site.user(created.data.id);
		site.expect("the user's first name", row?.first_name, created.data.first_name);
		site.expect("that the user is deleted", row?.deleted_at instanceof Date, true);
	},
};
