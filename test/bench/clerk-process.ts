// Clerk: gives its users page by page, and sends webhooks at a steady rate to see when their rows are there.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import pg from "pg";
import { Agent } from "undici";
import { signedWebhook } from "../fakes/clerk.ts";
import { generateUser } from "../fixtures/clerk/users.ts";
import { serve } from "./child.ts";

const pageSize = 500;
const instanceId = "ins_bench";
const agent = new Agent({ connections: 64 });
let users = 0;
/** The page that is likely to be asked for next, made while the one before is being written. */
let ahead: { from: number; body: Buffer } | null = null;

const server = createServer((request, response) => {
	const url = new URL(request.url ?? "/", "http://bench.invalid");
	if (url.pathname === "/v1/instance") return answer(response, Buffer.from(`{"id":"${instanceId}"}`));
	const after = url.searchParams.get("starting_after");
	// Asked for only at the end of the list, about its last user.
	if (url.searchParams.has("created_at_after")) return answer(response, pageFrom(users - 1));
	const from = after === null ? 0 : Number(after.replace("user_", "")) + 1;
	answer(response, ahead?.from === from ? ahead.body : pageFrom(from));
	const next = from + pageSize;
	setImmediate(() => {
		ahead = { from: next, body: pageFrom(next) };
	});
});
server.keepAliveTimeout = 120_000;
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

function answer(response: ServerResponse, body: Buffer): void {
	response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
	response.end(body);
}

function pageFrom(from: number): Buffer {
	const count = Math.max(0, Math.min(pageSize, users - from));
	return Buffer.from(JSON.stringify(Array.from({ length: count }, (_, at) => generateUser(from + at))));
}

type Pace = { perSecond: number; seconds: number };

/** Does `work` at that rate, and returns for each the milliseconds until its user's row was announced. */
async function paced(
	databaseUrl: string,
	{ perSecond, seconds }: Pace,
	work: (id: string) => Promise<void>,
): Promise<number[]> {
	const client = new pg.Client(databaseUrl);
	await client.connect();
	const begun = new Map<string, number>();
	const latencies: number[] = [];
	const { promise: allSeen, resolve } = Promise.withResolvers<void>();
	const count = perSecond * seconds;
	client.on("notification", ({ payload = "" }) => {
		const at = begun.get(payload);
		if (at === undefined) return;
		begun.delete(payload);
		if (latencies.push(performance.now() - at) === count) resolve();
	});
	await client.query("listen user_written");
	const working: Promise<void>[] = [];
	const run = `${Date.now()}`;
	const startedAt = performance.now();
	for (let sent = 0; sent < count; sent++) {
		const waitMs = startedAt + (sent * 1000) / perSecond - performance.now();
		if (waitMs > 0) await new Promise((wake) => setTimeout(wake, waitMs));
		const id = `user_${run}_${sent}`;
		begun.set(id, performance.now());
		working.push(work(id));
	}
	await Promise.all([...working, allSeen]);
	await client.end();
	return latencies;
}

async function sendWebhook(url: string, secret: string, id: string): Promise<void> {
	const now = Date.now();
	const user = { ...generateUser(1), id, updated_at: now };
	const { headers, body } = signedWebhook(instanceId, "user.created", user, { secret });
	const { origin, pathname } = new URL(url);
	const answered = await agent.request({ origin, path: pathname, method: "POST", headers, body });
	const text = await answered.body.text();
	if (answered.statusCode !== 200) throw new Error(`a webhook was answered ${answered.statusCode}: ${text}`);
}

const commands = {
	origin: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
	/** How many users there are from now on. */
	have: (count: number) => {
		users = count;
		ahead = null;
	},
	/** From the sending of a webhook until its user's row is committed. */
	paceWebhooks: ({
		url,
		secret,
		databaseUrl,
		...pace
	}: Pace & { url: string; secret: string; databaseUrl: string }) =>
		paced(databaseUrl, pace, (id) => sendWebhook(url, secret, id)),
	/** From the sending of a bare INSERT of the same row until it is committed. */
	paceInserts: async ({ databaseUrl, ...pace }: Pace & { databaseUrl: string }) => {
		const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 });
		const latencies = await paced(databaseUrl, pace, async (id) => {
			const { first_name, last_name, image_url, ...raw } = generateUser(1);
			await pool.query({
				name: "bare",
				text: `insert into capydb_auth.users (id, email, first_name, last_name, image_url, raw)
					values ($1, $2, $3, $4, $5, $6)`,
				values: [id, `${id}@example.com`, first_name, last_name, image_url, raw],
			});
		});
		await pool.end();
		return latencies;
	},
};

export type ClerkCommands = typeof commands;

serve(commands, async () => {
	server.closeAllConnections();
	await agent.close();
});
