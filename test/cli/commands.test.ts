import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Command, helpOf } from "../../src/cli/command.ts";
import { commands } from "../../src/cli/commands.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { runCli, runOn } from "./cli-process.ts";

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer();
});

afterAll(() => server.close());

describe("operator commands", () => {
	it("make an organization, a project and a key that the server takes at once", async () => {
		const made = await runOn(server, ["create-organization", "--name", "Acme", "--slug", "acme", "--json"]);
		expect(made).toMatchObject({
			code: 0,
			stderr: "",
			json: { organization: { name: "Acme", slug: "acme" } },
		});
		const { id: organization } = made.json.organization;

		const project = await runOn(server, [
			...["create-project", "--organization", organization, "--name", "web"],
			...["--environment", "non_production", "--json"],
		]);
		expect(project).toMatchObject({ code: 0, stderr: "" });
		expect(project.json.project).toMatchObject({
			environment: "non_production",
			organization_id: organization,
		});
		const projectId = project.json.project.id;

		const key = await runOn(server, [
			...["create-key", "--organization", organization, "--name", "ci"],
			...["--scope", "projects:read", "--scope", "jobs:read", "--project", projectId, "--json"],
		]);
		expect(key.json.api_key).toMatchObject({ source: "cli", scopes: ["projects:read", "jobs:read"] });
		const { plaintext_api_key: plaintext } = key.json;
		await until(async () => {
			const { status, body } = await server.call("GET", `/v1/projects/${projectId}`, { key: plaintext });
			expect(status).toBe(200);
			return body.project.state === "ready";
		});

		const audited = await server.call("GET", `/v1/organizations/${organization}/audit-events`);
		expect(audited.body.audit_events.map((event: { action: string }) => event.action).sort()).toEqual([
			"api_key.created",
			"organization.created",
			"project.created",
		]);

		const revoked = await runOn(server, ["revoke-key", "--key", key.json.api_key.id]);
		expect(revoked).toMatchObject({ code: 0, stdout: `Revoked the API key ${key.json.api_key.id}.\n` });
		expect((await server.call("GET", "/v1/me", { key: plaintext })).status).toBe(401);
	});

	it("say in a sentence what is wrong, and end with 1 for a refusal and 2 for a command line", async () => {
		const unknown = "org_00000000000000000000000000";
		const cases: [args: string[], code: number, sentence: string][] = [
			[["create-key", "--organization", unknown, "--name", "x"], 1, "No such organization."],
			[["create-organization", "--name", "x", "--slug", "Not a slug"], 1, "`--slug` must match pattern"],
			[["create-organization", "--name", "x", "--colour", "red"], 2, "Unknown option '--colour'."],
			[["list-stuck", "--older-than", "soon"], 2, "`--older-than` must be a whole number of seconds."],
			[
				["create-project", "--database-url", "@/nowhere", "--organization", unknown, "--name", "x"],
				2,
				"The file",
			],
			[["dance"], 2, "There is no command `dance`."],
		];
		for (const [args, code, sentence] of cases) {
			const refused = await runOn(server, args);
			expect(refused).toMatchObject({ code, stdout: "" });
			expect(refused.stderr).toContain(sentence);
		}
		const asJson = await runOn(server, ["revoke-key", "--key", "nonsense", "--json"]);
		expect(asJson.json).toEqual({ error: "No such API key.", code: "api_key.not_found" });
	});

	it("each say how they are used, without a database or anything else", async () => {
		const overview = await runCli(["--help"]);
		expect(overview.code).toBe(0);
		const listed = await runCli(["replay", "--help"]);
		expect(listed).toMatchObject({
			code: 0,
			stderr: "",
			stdout: helpOf("replay", commands.replay as Command),
		});
		for (const [name, command] of Object.entries(commands)) {
			expect(overview.stdout).toContain(`  ${name} `);
			const help = helpOf(name, command);
			expect(help).toContain(`${name} ${command.summary}.`);
			for (const option of [...Object.keys(command.options), "json"]) expect(help).toContain(`--${option} `);
		}
	});

	it("refuse a configuration, a database and a key that a server would refuse, and a schema that is not theirs", async () => {
		const badConfig = await runOn(server, ["list-stuck"], { PORT: "eighty" });
		expect(badConfig).toMatchObject({ code: 1, stderr: expect.stringContaining("PORT must be") });
		const other = `other:${Buffer.alloc(32, 9).toString("base64")}`;
		const badKey = await runOn(server, ["list-stuck"], { ENCRYPTION_KEYS: other });
		expect(badKey).toMatchObject({ code: 1, stderr: expect.stringContaining("that are not given: test.") });
		const empty = new URL(server.databaseUrl);
		empty.pathname = "/template1";
		const unmigrated = await runOn(server, ["list-stuck"], { DATABASE_URL: empty.href });
		expect(unmigrated).toMatchObject({
			code: 1,
			stderr: expect.stringContaining("run `npm run cli -- migrate`"),
		});
		empty.pathname = "/nowhere";
		const missing = await runOn(server, ["list-stuck"], { DATABASE_URL: empty.href });
		expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('"nowhere" does not exist') });
	});
});
