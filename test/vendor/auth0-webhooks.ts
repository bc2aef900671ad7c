import { Ajv2020 } from "ajv/dist/2020.js";
import { auth0Samples, streamSamples } from "../fixtures/auth0/samples.ts";
import type { ReadDocument, WebhookSite, WebhookVendor } from "./webhook-site.ts";

type LogStreams = Record<"JSONARRAY" | "JSONLINES" | "JSONOBJECT_first_request", string>;

export const auth0Webhooks: WebhookVendor = {
	name: "Auth0",
	async check(site, read) {
		const authorization = `Bearer ${await site.connect("auth0")}`;
		await sendEvents(site, authorization, (await read("auth0/event-stream-samples.json")).samples);
		await sendLogs(site, authorization, await read("auth0/log-stream-samples.json"));
		await holdToSchemas(site, read);
		await holdToCodes(site, read);
	},
};

async function sendEvents(
	site: WebhookSite,
	authorization: string,
	samples: { type: string; data: { object: { user_id: string; email: string } } }[],
): Promise<void> {
	for (const sample of samples) {
		const answer = await site.post("auth0", JSON.stringify(sample), { authorization });
		site.expect(`answer to ${sample.type}`, answer, [200, null]);
	}
	const outcomes = await site.outcomes("auth0", samples.length);
	site.expect("events", outcomes, [
		"user.created processed",
		"user.updated processed",
		"user.deleted processed",
		"user.created ignored",
	]);
	const { user_id, email } = samples[0]?.data.object ?? { user_id: "", email: "" };
	const row = await site.user(user_id);
	site.expect("the user's address", row?.email, email);
	site.expect("the user's deletion", row?.deleted_at, new Date("2026-04-24T08:00:00.000Z"));
}

/** The same three entries in each form, of which the single one has the first alone. */
async function sendLogs(site: WebhookSite, authorization: string, streams: LogStreams): Promise<void> {
	for (const form of ["JSONOBJECT_first_request", "JSONLINES", "JSONARRAY"] as const) {
		site.expect(`answer to ${form}`, await site.post("auth0", streams[form], { authorization }), [200, null]);
	}
	const outcomes = await site.outcomes("auth0", 7);
	// Without credentials nobody can be fetched, and the deletion is older than the one that is known.
	site.expect("entries", outcomes.slice(4), ["log.ss ignored", "log.sdu ignored", "log.sapi ignored"]);
}

async function holdToSchemas(site: WebhookSite, read: ReadDocument): Promise<void> {
	const { schemas } = (await read("auth0/official/event-schemas-user.json")).components;
	const ajv = new Ajv2020({ strict: false, validateFormats: false });
	for (const [type, sample] of Object.entries(streamSamples)) {
		const { $id: _, ...schema } = schemas[type];
		const isValid = ajv.validate(schema, sample);
		site.expect(`our ${type} by the official schema`, isValid ? "" : ajv.errorsText(), "");
	}
}

/** A code that Auth0 does not have would be one of our invention. */
async function holdToCodes(site: WebhookSite, read: ReadDocument): Promise<void> {
	const { codes } = await read("auth0/official/log-event-codes.json");
	const text = JSON.stringify(Object.values(auth0Samples)).replaceAll("\\", "");
	const used = [...text.matchAll(/"date":"[^"]*","type":"(\w+)"/g)].map(([, code = ""]) => code);
	site.expect("codes of our log entries", used.length > 0, true);
	site.expect(
		"unknown codes",
		[...new Set(used)].filter((code) => !(code in codes)),
		[],
	);
}
