import { isDeepStrictEqual } from "node:util";
import { createClosers, openStory, type Story } from "../demo/story.ts";
import { until } from "../support/until.ts";

/** A vendor whose official webhooks a running server has to take, and to whose schemas our own are held. */
export type WebhookVendor = {
	name: string;
	check(site: WebhookSite, read: ReadDocument): Promise<void>;
};

/** Reads a vendor's document, named from the folder of all of them. */
// Documents are looked into by checks of many shapes.
// biome-ignore lint/suspicious/noExplicitAny: the document is whatever the vendor wrote
export type ReadDocument = (path: string) => Promise<any>;

export type WebhookSite = {
	/** Makes the integration; gives its signing secret. */
	connect(provider: string, credentials?: object): Promise<string>;
	/** Posts to the integration's receiver. The answer's code is null when the webhook was taken. */
	post(provider: string, body: string, headers: Record<string, string>): Promise<[number, string | null]>;
	/** Waits until so many webhooks of the provider have taken effect: type and state of each, oldest first. */
	outcomes(provider: string, count: number): Promise<string[]>;
	/** The user's row in the project's own database. */
	user(id: string): Promise<Record<string, unknown> | null>;
	/** Notes a fault unless both are alike. */
	expect(what: string, actual: unknown, expected: unknown): void;
};

export type WebhookReport = { name: string; sent: number; faults: string[] };

/** Runs the checks against a server of their own, which is removed in the end. */
export async function checkWebhooks(
	vendors: readonly WebhookVendor[],
	read: ReadDocument,
): Promise<WebhookReport[]> {
	const closers = createClosers();
	try {
		const story = await openStory(0, closers);
		const reports: WebhookReport[] = [];
		for (const { name, check } of vendors) {
			const report: WebhookReport = { name, sent: 0, faults: [] };
			reports.push(report);
			await check(siteOf(story, report), read);
			if (report.sent === 0) report.faults.push("nothing was sent");
		}
		return reports;
	} finally {
		await closers.closeAll();
	}
}

function siteOf({ call, projectId, server, sql }: Story, report: WebhookReport): WebhookSite {
	const integration = (provider: string) => `/v1/projects/${projectId}/integrations/${provider}`;
	return {
		async connect(provider, credentials) {
			const body = credentials === undefined ? {} : { credentials };
			return (await call("PUT", integration(provider), { body })).plaintext_webhook_signing_secret;
		},
		async post(provider, body, headers) {
			report.sent += 1;
			const url = `${server.url}/v1/integrations/${provider}/webhook/${projectId}`;
			const answer = await fetch(url, { method: "POST", headers, body });
			return [answer.status, ((await answer.json()) as { code?: string }).code ?? null];
		},
		async outcomes(provider, count) {
			const found = await until(
				async () => {
					const { events } = await call("GET", `${integration(provider)}/events?limit=250`);
					const settled = (events as { type: string; state: string }[]).filter(
						({ state }) => state !== "received",
					);
					return settled.length >= count ? settled : null;
				},
				{ timeoutMs: 20_000, what: `${count} webhooks of ${provider}` },
			);
			return found.map(({ type, state }) => `${type} ${state}`).toReversed();
		},
		user: async (id) => (await sql("select * from capydb_auth.users where id = $1", [id]))[0] ?? null,
		expect(what, actual, expected) {
			if (isDeepStrictEqual(actual, expected)) return;
			report.faults.push(`${what}: ${JSON.stringify(actual)} and not ${JSON.stringify(expected)}`);
		},
	};
}
