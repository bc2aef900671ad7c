import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { ownSignatures, standardSignatures } from "../deliveries/signatures.ts";
import { addEndpoint, addKey, addOrganization, postEvents, receiving } from "../deliveries/webhook-server.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { runCli, spawnCli } from "./cli-process.ts";

const secret = `whsec_${Buffer.alloc(32, 5).toString("base64")}`;

/** `listen` as a process, from when it says that it forwards. */
async function listening(server: TestServer, key: string, args: string[]) {
	const child = spawnCli(["listen", "--url", server.url, "--key", key, "--json", ...args], {});
	onTestFinished(() => void child.kill("SIGKILL"));
	let [stdout, stderr] = ["", ""];
	child.stdout.setEncoding("utf8").on("data", (text: string) => {
		stdout += text;
	});
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		stderr += text;
	});
	await until(() => stderr.includes("Forwarding new events"), { what: "forwarding" });
	return { child, stdout: () => stdout, stderr: () => stderr };
}

it("listen forwards an organization's new events with their own bytes, signed, and ends on Ctrl-C", async () => {
	const server = await startTestServer();
	const owner = await addOrganization(server);
	const key = await addKey(server, owner.organizationId, { scopes: ["organizations:read"] });
	const receiver = await receiving();
	await postEvents(server, owner, '{"type":"order.paid","data":"before"}');
	const wanted = ["--type", "order.*", "--to", `${receiver.url}/hook`, "--secret", secret];
	const { child, stdout } = await listening(server, key, wanted);

	// Bytes that would not outlive being parsed and written anew.
	const data = '{"b":1.10, "a":12345678901234567890,"ü":"\\u00fc"}';
	await postEvents(server, owner, `{"type":"order.paid","data":${data}}`);
	await postEvents(server, owner, '{"type":"other.thing","data":1}');
	receiver.respondWith(200, 500);
	await receiver.waitFor(1);
	await postEvents(server, owner, '{"type":"order.late.again","data":1}');
	const [first, second, ...more] = await receiver.waitFor(2);
	expect(more).toEqual([]);
	expect(first?.headers["x-capydb-event"]).toBe("order.paid");
	expect(first?.body.toString()).toContain(`"data":${data}`);
	expect(second?.headers["x-capydb-event"]).toBe("order.late.again");
	for (const request of [first, second]) {
		expect(ownSignatures(request, [secret])).toBe(true);
		expect(standardSignatures(request, [secret])).toBe(true);
	}

	await until(() => stdout().includes('"outcome":"500"'), { what: "what came of the second" });
	child.kill("SIGINT");
	const [code] = await once(child, "exit");
	expect(code).toBe(0);
	const lines = stdout()
		.trim()
		.split("\n")
		.map((line) => JSON.parse(line));
	expect(lines).toMatchObject([
		{ type: "order.paid", outcome: "200", taken: true },
		{ type: "order.late.again", outcome: "500", taken: false },
		{ forwarded: 1, failed: 1 },
	]);
});

it("listen outlives an outage of the server, and says once that it is away", async () => {
	const base = await startTestServer({ env: { ROLE: "api" } });
	const owner = await addOrganization(base);
	const away = await startTestServer({ env: { ROLE: "api" }, databaseUrl: base.databaseUrl, keep: true });
	const { port } = new URL(away.url);
	const receiver = await receiving();
	const { stderr } = await listening(away, owner.key, ["--to", `${receiver.url}/hook`]);
	await away.close();
	await until(() => stderr().includes("cannot be reached."), { what: "the outage" });
	await postEvents(base, owner, '{"type":"order.paid","data":"meanwhile"}');
	const env = { ROLE: "api", PORT: port };
	const back = await startTestServer({ env, databaseUrl: base.databaseUrl, keep: true });
	onTestFinished(() => back.close());
	await receiver.waitFor(1);
	expect(stderr().match(/cannot be reached/g)).toHaveLength(1);
});

it("listen ends with the server's own sentence when its key is refused", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const to = ["--to", "http://localhost:1/hook", "--url", server.url];
	const refused = await runCli(["listen", "--key", "capy_live_nobody", ...to]);
	expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/^The server answers 401: /) });
});

it("verify tells a genuine request from one that is altered, late or somebody else's", async () => {
	const server = await startTestServer();
	const owner = await addOrganization(server);
	const receiver = await receiving();
	const endpoint = await addEndpoint(server, owner, { url: `${receiver.url}/hook`, event_types: ["a"] });
	await postEvents(server, owner, '{"type":"a","data":1}');
	const [request] = await receiver.waitFor(1);
	const folder = await mkdtemp(join(tmpdir(), "capydb-verify-"));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	const [secretFile, headersFile] = [join(folder, "secret"), join(folder, "headers")];
	await writeFile(secretFile, `${endpoint.secret}\n`);
	const headers = Object.entries(request?.headers ?? {});
	await writeFile(headersFile, headers.map(([name, value]) => `${name}: ${value}`).join("\r\n"));
	const verify = (args: string[], body: Buffer | string = request?.body ?? "") =>
		runCli(["verify", "--headers", headersFile, "--json", ...args], {}, body);
	const right = ["--secret", `@${secretFile}`];
	const both = (verdict: string) => ({ "webhook-signature": verdict, "X-CapyDB-Signature": verdict });

	expect(await verify(right)).toMatchObject({ code: 0, json: { genuine: true, ...both("genuine") } });
	const altered = `${request?.body}`.replace('"data":1', '"data":2');
	expect(await verify(right, altered)).toMatchObject({
		code: 1,
		json: { genuine: false, ...both("bad_signature") },
	});
	const late = ["--at", new Date(Date.now() + 3600_000).toISOString()];
	expect(await verify([...right, ...late])).toMatchObject({ code: 1, json: both("stale") });
	expect(await verify(["--secret", secret])).toMatchObject({ code: 1, json: both("bad_signature") });
	const text = await runCli(["verify", ...right, "--header", "webhook-id: evt_1"]);
	expect(text.code).toBe(1);
	expect(text.stdout).toContain("webhook-signature: not there");
});
