import { describe, expect, it, onTestFinished } from "vitest";
import { noTracing } from "../../src/core/tracing.ts";
import { type ClaimLimits, claimStore } from "../../src/deliveries/engine/claim-store.ts";
import { createDispatcher } from "../../src/deliveries/engine/dispatcher.ts";
import { createSettler } from "../../src/deliveries/engine/settler.ts";
import { signingKeys } from "../../src/deliveries/engine/sign.ts";
import { openDatabase } from "../../src/platform/db.ts";
import { createSender } from "../../src/platform/sender.ts";
import { metricsToken, scrape } from "../http/scrape.ts";
import { createMemoryLog } from "../support/memory-log.ts";
import { loopback } from "../support/sending.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import {
	addEndpoint,
	addOrganization,
	listAttempts,
	listDeliveries,
	passTime,
	publish,
	receiving,
} from "./webhook-server.ts";

/** The dispatcher of a process that can send nothing: its HTTP client is closed. Tells what it claims. */
async function startTroubled({ databaseUrl, ctx }: TestServer) {
	const database = openDatabase({
		url: databaseUrl,
		applicationName: "capydb-test",
		connectionsMax: 2,
		statementTimeoutMs: 30_000,
		plansByKey: true,
		log: silentLog,
	});
	const sender = createSender({ guard: loopback, deadlineMs: 5_000, connectionsPerOriginMax: 4 });
	await sender.close();
	const store = claimStore(database);
	const claims: { limits: ClaimLimits; taken: number }[] = [];
	const dispatcher = createDispatcher({
		sender,
		openKeys: (sealed, place) => signingKeys(ctx.vault.open(sealed, place)),
		openHeaders: (sealed, place) => JSON.parse(ctx.vault.open(sealed, place)),
		clock: ctx.clock,
		tracing: noTracing,
		retryScheduleSeconds: [0, 60],
		claims: {
			...store,
			claim: async (claimId, limits) => {
				const taken = await store.claim(claimId, limits);
				claims.push({ limits, taken: taken.length });
				return taken;
			},
		},
		settler: createSettler({ write: async () => undefined, log: silentLog, windowMs: undefined }),
		onWithheld: () => undefined,
		log: silentLog,
		concurrency: 10,
		endpointConcurrency: 5,
		leaseMs: 30_000,
	});
	dispatcher.start();
	onTestFinished(async () => {
		await dispatcher.stop(5_000);
		await database.close();
	});
	return { dispatcher, claims };
}

it("what our own trouble keeps from being sent waits, uses no attempt, and is not tried again and again", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const owner = await addOrganization(server);
	const endpoint = await addEndpoint(server, owner, { url: "http://127.0.0.1:9999/" });
	const events = Array.from({ length: 12 }, (_, at) => ({ type: "a", data: at }));
	const { dispatcher, claims } = await startTroubled(server);
	await publish(server, owner, { events });
	const waits =
		"select from deliveries where claim_id is null and next_attempt_at > clock_now() + interval '1 second'";
	await until(async () => (await server.sql(waits)).length > 0);
	const isLeftAlone = () => claims.at(-1)?.limits.busy.some(({ free }) => free === 0);
	await until(() => dispatcher.inFlight() === 0 && isLeftAlone());
	const claimed = () => claims.reduce((sum, { taken }) => sum + taken, 0);
	const once = claimed();
	const rounds = claims.length;
	// As every publish would: the lane is due, and the dispatcher looks.
	for (let turn = 1; turn <= 3; turn += 1) {
		await server.sql("update delivery_lanes set due_at = clock_now()");
		dispatcher.poke();
		await until(() => claims.length >= rounds + turn);
	}
	expect(claimed()).toBe(once);
	expect(claims.at(-1)?.limits.busy).toEqual([{ endpointId: endpoint.id, free: 0 }]);
	const [oldest] = (await listDeliveries(server, owner, endpoint)).toReversed();
	expect(oldest).toMatchObject({ state: "pending", attempts: 0, error_code: null });
	expect(await listAttempts(server, owner, endpoint, oldest?.id)).toEqual([]);
});

describe("an endpoint whose secrets cannot be opened", () => {
	it.each([
		["signing secret", "update endpoint_secrets set secret = replace(secret, '.test.', '.gone.')"],
		["headers", "update webhook_endpoints set secret_headers = replace(secret_headers, '.test.', '.gone.')"],
	])(
		"(its %s) loses nothing by it: its deliveries wait, use no attempt, and go on from a server that can",
		async (_what, spoil) => {
			const memory = createMemoryLog();
			const server = await startTestServer({ log: memory.log, env: { METRICS_TOKEN: metricsToken } });
			const owner = await addOrganization(server);
			const [receiver, sound] = [await receiving(), await receiving()];
			const endpoint = await addEndpoint(server, owner, {
				url: receiver.url,
				secret_headers: { "X-Token": "hidden" },
			});
			await server.sql(spoil);
			await addEndpoint(server, owner, { url: sound.url });
			await publish(server, owner, { events: [1, 2, 3].map((data) => ({ type: "a", data })) });
			await sound.waitFor(3);
			const withheld = await until(async () => {
				const deliveries = await listDeliveries(server, owner, endpoint);
				const later = Date.now() + 30_000;
				return deliveries.every(({ next_attempt_at: at }) => Date.parse(at) > later) && deliveries;
			});
			for (const delivery of withheld) {
				expect(delivery).toMatchObject({ state: "pending", attempts: 0, error_code: null });
				expect(await listAttempts(server, owner, endpoint, delivery.id)).toEqual([]);
			}
			expect(memory.errors).toEqual([
				expect.stringMatching(
					`^an endpoint's secrets cannot be opened .*"message":"No encryption key with id gone\\.".*${endpoint.id}`,
				),
			]);
			expect(memory.lines.join("\n")).not.toContain("hidden");
			const { value } = await scrape(server);
			expect(value('capydb_deliveries_withheld_total{reason="sealed"}')).toBe(3);

			await server.sql(spoil.replace("'.test.', '.gone.'", "'.gone.', '.test.'"));
			await startTestServer({ databaseUrl: server.databaseUrl });
			await passTime(server, 60_000, endpoint);
			await receiver.waitFor(3);
			expect(receiver.requests).toHaveLength(3);
		},
	);
});
