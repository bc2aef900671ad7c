import { readFile } from "node:fs/promises";
import { equalSecrets } from "../core/equality.ts";
import { signedHeaders, signingKeys } from "../deliveries/engine/sign.ts";
import type { WebhookVerdict } from "../providers/provider.ts";
import { verifyStandardWebhook } from "../providers/signatures.ts";
import { type Command, type Given, type Surroundings, UsageError } from "./command.ts";

type Checked = { header: string; verdict: WebhookVerdict };

const toleranceSeconds = 300;

export const verifyCommand: Command = {
	summary: "says whether a webhook that somebody received is one of ours",
	details:
		"The body must be the bytes as they came: parsed and written anew they no longer match. Without --body it is read\n" +
		"from standard input. It ends with 1 unless every signature that is there is genuine.",
	options: {
		secret: { value: "whsec_…", help: "the endpoint's signing secret", isRequired: true, isSecret: true },
		header: { value: "name: value", help: "each header that came with it", isRepeated: true },
		headers: { value: "file", help: "a file of such lines, as `curl -i` prints them" },
		body: { value: "file", help: "what came" },
		at: { value: "time", help: "RFC 3339: judges as of that time; default: now" },
	},
	run: async (given, surroundings) => {
		const headers = await readHeaders(given);
		const body = await readBody(given, surroundings);
		const now = readTime(given.text("at"));
		const secret = given.required("secret");
		const checked: Checked[] = [
			{
				header: "webhook-signature",
				verdict: verifyStandardWebhook({ rawBody: body, headers, secrets: [secret], now }),
			},
			{ header: "X-CapyDB-Signature", verdict: verifyOwn({ body, headers, secret, now }) },
		];
		const present = checked.filter(({ verdict }) => verdict !== "missing_signature");
		const isGenuine = present.length > 0 && present.every(({ verdict }) => verdict === "genuine");
		return {
			text: checked.map(tell).join("\n"),
			json: { genuine: isGenuine, ...Object.fromEntries(checked.map((each) => [each.header, each.verdict])) },
			isBad: !isGenuine,
		};
	},
};

type Headers = Record<string, string>;

/** `t=<unix s>,v1=<hex>`, with one `v1` for each live secret. */
function verifyOwn({
	body,
	headers,
	secret,
	now,
}: {
	body: Buffer;
	headers: Headers;
	secret: string;
	now: Date;
}): WebhookVerdict {
	const header = headers["x-capydb-signature"];
	if (header === undefined) return "missing_signature";
	const [time = "", ...signatures] = header.split(",").map((part) => part.trim());
	const seconds = /^t=(\d{1,12})$/.exec(time)?.[1];
	if (seconds === undefined || signatures.length === 0) return "malformed";
	const at = new Date(Number(seconds) * 1000);
	const none = { eventId: "", eventType: "", deliveryId: "" };
	const right =
		signedHeaders({ ...none, body, keys: [signingKeys(secret)], at })["X-CapyDB-Signature"]?.split(",")[1] ??
		"";
	if (!signatures.some((signature) => equalSecrets(signature, right))) return "bad_signature";
	return Math.abs(now.getTime() - at.getTime()) > toleranceSeconds * 1000 ? "stale" : "genuine";
}

function tell({ header, verdict }: Checked): string {
	return `${header}: ${sentences[verdict]}`;
}

const sentences: Record<WebhookVerdict, string> = {
	genuine: "genuine.",
	missing_signature: "not there, or not with the headers that belong to it.",
	bad_signature: "not made with this secret over these bytes.",
	stale: `made with this secret, but more than ${toleranceSeconds} s away; --at <time> judges as of another time.`,
	malformed: "not a signature of ours.",
};

async function readHeaders(given: Given): Promise<Headers> {
	const file = given.text("headers");
	const lines = file === undefined ? [] : (await readOrRefuse(file)).toString("utf8").split(/\r?\n/);
	const headers: Headers = {};
	for (const line of [...lines, ...given.list("header")]) {
		const [, name, value] = /^([A-Za-z0-9-]+):\s*(.*?)\s*$/.exec(line) ?? [];
		if (name !== undefined && value !== undefined) headers[name.toLowerCase()] = value;
	}
	return headers;
}

function readBody(given: Given, { readInput }: Surroundings): Promise<Buffer> {
	const file = given.text("body");
	return file === undefined ? readInput() : readOrRefuse(file);
}

async function readOrRefuse(file: string): Promise<Buffer> {
	try {
		return await readFile(file);
	} catch {
		throw new UsageError(`The file ${file} cannot be read.`);
	}
}

function readTime(text: string | undefined): Date {
	if (text === undefined) return new Date();
	const at = new Date(text);
	if (Number.isNaN(at.getTime()))
		throw new UsageError("`--at` must be an RFC 3339 time, such as 2026-01-31T12:00:00Z.");
	return at;
}
