import { randomBytes } from "node:crypto";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	listAttempts,
	newestDelivery,
	type Owner,
	passLeases,
	receiving,
} from "../deliveries/webhook-server.ts";
import { startWorker } from "../deliveries/worker-process.ts";
import type { ServerProcess } from "../journeys/server-process.ts";
import type { ReceivedRequest, Receiver, Reply } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { quietTrigger } from "../support/triggers.ts";
import { until } from "../support/until.ts";

// The point between the receiver's answer and its result is in ../deliveries/faults-workers.test.ts.

/** The deadline of an attempt and the time to write its result. */
const leaseMs = 30_000;
const gateKey = 4712;

type Stage = {
	/** There before and after the crash: it answers the API and sends nothing. */
	api: TestServer;
	/** Publishes and sends, until it is killed. */
	doomed: ServerProcess;
	owner: Owner;
	receiver: Receiver;
	endpoint: AddedEndpoint;
};

it("killed after the commit of a publish and before its wake: the event is delivered by another, once", async () => {
	const stage = await openStage("api");
	const { api, doomed, endpoint, receiver } = stage;
	// Whoever wakes the lane waits for this.
	const holder = await connect(api);
	await holder.query("begin");
	await holder.query("select from delivery_lanes where endpoint_id = $1 for update", [toUuid(endpoint.id)]);
	expect((await publish(doomed, stage)).status).toBe(202);
	await until(async () => (await blocked(api)).length > 0, { what: "the wake" });
	await kill(doomed);
	await breakOff(api);
	const lanes = await api.sql("select due_at from delivery_lanes where endpoint_id = $1", [
		toUuid(endpoint.id),
	]);
	expect(lanes).toEqual([{ due_at: null }]);
	await holder.query("rollback");
	await startSuccessor(api);
	expect(await delivered(stage)).toMatchObject({ attempts: 1 });
	expect(receiver.requests).toHaveLength(1);
});

it.each([
	["broken off", true],
	["carried through", false],
])(
	"killed in the statement of a publish that is %s: repeated with its key it is one event",
	async (_how, isBrokenOff) => {
		const stage = await openStage("all");
		const { api, doomed, owner, receiver } = stage;
		const gate = await closeGate(api, "before insert on events");
		const answer = publish(doomed, stage).catch(() => "cut off");
		await until(gate.isReached);
		await kill(doomed);
		expect(await answer).toBe("cut off");
		if (isBrokenOff) await breakOff(api);
		await gate.open();
		const repeated = await publish(api, stage);
		expect([repeated.status, await repeated.json()]).toMatchObject([202, { deliveries: 1 }]);
		await startSuccessor(api);
		await delivered(stage);
		const list = `/v1/organizations/${owner.organizationId}/events`;
		expect((await api.call("GET", list, { key: owner.key })).body.events).toHaveLength(1);
		expect(receiver.requests).toHaveLength(1);
	},
);

it("killed while the receiver has the request: another sends it again with the same ids, and it costs no attempt", async () => {
	const stage = await openStage("all");
	const { api, doomed, endpoint, receiver, owner } = stage;
	const { promise, resolve } = Promise.withResolvers<Reply>();
	receiver.respondWith(() => promise, 200);
	await publish(doomed, stage);
	await receiver.waitFor(1);
	const before = await newestDelivery(api, owner, endpoint, ({ attempts }) => attempts === 1);
	await kill(doomed);
	resolve(200);
	await passLeases(api, leaseMs + 1_000, endpoint);
	await startSuccessor(api);
	const after = await delivered(stage);
	expect(after.max_attempts - after.attempts).toBe(before.max_attempts - before.attempts);
	const [first, second, ...more] = receiver.requests.map(idsOf);
	expect([second, more]).toEqual([first, []]);
	expect(await listAttempts(api, owner, endpoint, after.id)).toMatchObject([
		{ number: 1, error_code: "unknown", response_status: null },
		{ number: 2, error_code: null, response_status: 200 },
	]);
});

it.each([
	["broken off: it is sent again", true],
	["carried through: it is not sent again", false],
])("killed inside the statement that writes the result, which is %s", async (_how, isBrokenOff) => {
	const stage = await openStage("all");
	const { api, doomed, endpoint, receiver } = stage;
	const gate = await closeGate(api, "before insert on delivery_attempts");
	await publish(doomed, stage);
	await until(gate.isReached);
	await kill(doomed);
	if (isBrokenOff) await breakOff(api);
	await gate.open();
	await passLeases(api, leaseMs + 1_000, endpoint);
	await startSuccessor(api);
	expect(await delivered(stage)).toMatchObject({ attempts: isBrokenOff ? 2 : 1 });
	expect(receiver.requests).toHaveLength(isBrokenOff ? 2 : 1);
});

const idsOf = ({ headers }: ReceivedRequest) => [headers["webhook-id"], headers["x-capydb-delivery"]];

async function openStage(role: "api" | "all"): Promise<Stage> {
	const api = await startTestServer({ env: { ROLE: "api" } });
	const doomed = await startWorker(api, { ROLE: role, BOOTSTRAP: "false" });
	const owner = await addOrganization(api);
	const receiver = await receiving();
	const endpoint = await addEndpoint(api, owner, { url: receiver.url });
	return { api, doomed, owner, receiver, endpoint };
}

function startSuccessor({ databaseUrl }: TestServer): Promise<TestServer> {
	return startTestServer({ databaseUrl, env: { ROLE: "worker" } });
}

function publish({ url }: { url: string }, { owner }: Stage): Promise<Response> {
	return fetch(`${url}/v1/organizations/${owner.organizationId}/events`, {
		method: "POST",
		headers: { authorization: `Bearer ${owner.key}`, "content-type": "application/json" },
		body: JSON.stringify({ type: "a", data: 1, idempotency_key: "once" }),
	});
}

function delivered({ api, owner, endpoint }: Stage): Promise<Body> {
	return newestDelivery(api, owner, endpoint, ({ state }) => state === "delivered");
}

async function kill(doomed: ServerProcess): Promise<void> {
	doomed.signal("SIGKILL");
	expect(await doomed.exited).toMatchObject({ signal: "SIGKILL" });
}

async function connect({ databaseUrl }: TestServer): Promise<pg.Client> {
	const client = new pg.Client({ connectionString: databaseUrl });
	client.on("error", () => undefined);
	await client.connect();
	onTestFinished(() => client.end());
	return client;
}

/** Statements that wait for a lock. */
function blocked(api: TestServer): Promise<{ pid: number }[]> {
	return api.sql(
		`select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
	);
}

/** As when Postgres hears that their client is gone. */
async function breakOff(api: TestServer): Promise<void> {
	for (const { pid } of await blocked(api)) await api.sql("select pg_terminate_backend($1)", [pid]);
	await until(async () => (await blocked(api)).length === 0);
}

/** What does this to a table stops there. Opened, what waits goes on, and nothing stops any more. */
async function closeGate(api: TestServer, trigger: string) {
	const holder = await connect(api);
	await holder.query("select pg_advisory_lock($1)", [gateKey]);
	const stop = `stop_${randomBytes(4).toString("hex")}`;
	await api.sql(`create function ${stop}() returns trigger language plpgsql as
		$$ begin perform pg_advisory_xact_lock_shared(${gateKey}); return new; end $$`);
	await api.sql(`create trigger ${stop} ${trigger} for each row execute function ${stop}()`);
	return {
		isReached: async () => (await blocked(api)).length > 0,
		open: async () => {
			await holder.query("select pg_advisory_unlock($1)", [gateKey]);
			await until(async () => (await blocked(api)).length === 0);
			await quietTrigger(api, stop);
		},
	};
}
