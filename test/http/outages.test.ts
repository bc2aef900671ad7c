import { DrizzleQueryError } from "drizzle-orm/errors";
import fastify from "fastify";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { useErrorHandler } from "../../src/http/error-handler.ts";
import { openDatabase } from "../../src/platform/db.ts";
import { isStatementRefused } from "../../src/platform/db-errors.ts";
import { ProjectDatabaseError } from "../../src/platform/project-db-errors.ts";
import { addOrganization, postEvents } from "../deliveries/webhook-server.ts";
import { startTestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";

/** What a route answers whose operation ends with this. */
async function answerTo(error: Error) {
	const app = fastify();
	onTestFinished(() => app.close());
	useErrorHandler(app);
	app.get("/", () => Promise.reject(error));
	const answer = await app.inject("/");
	return [answer.statusCode, answer.json().code, answer.headers["retry-after"]];
}

const outage = [503, "database.unavailable", "2"];
const bug = [500, "server.error", undefined];

function network(code: string): Error {
	return Object.assign(new Error(`connect ${code} 10.0.0.1:5432`), { code });
}

function refused(state: string): Error {
	return Object.assign(new pg.DatabaseError("no", 2, "error"), { code: state });
}

/** As Drizzle does, whose message holds the values. */
function wrapped(cause: Error, value = "x"): Error {
	return new DrizzleQueryError("select $1", [value], cause);
}

describe("the control database", () => {
	it.each([
		"ENOTFOUND",
		"EAI_AGAIN",
		"ECONNREFUSED",
		"ECONNRESET",
		"EPIPE",
		"ETIMEDOUT",
		"EHOSTUNREACH",
		"ENETUNREACH",
	])("that cannot be reached (%s) is a 503, and no statement's fault", async (code) => {
		const ofEachAddress = new AggregateError([network(code), network(code)]);
		for (const error of [network(code), ofEachAddress]) {
			for (const each of [error, wrapped(error), wrapped(wrapped(error))]) {
				expect(await answerTo(each)).toEqual(outage);
				expect(isStatementRefused(each)).toBe(false);
			}
		}
	});

	it.each(["08006", "25006", "53100", "53300", "57014", "57P01", "57P03", "58030"])(
		"that refuses with SQLSTATE %s is a 503, and no statement's fault",
		async (state) => {
			for (const each of [refused(state), wrapped(refused(state))]) {
				expect(await answerTo(each)).toEqual(outage);
				expect(isStatementRefused(each)).toBe(false);
			}
		},
	);

	it.each(["22P02", "23505", "40P01", "42P01"])(
		"that refuses what a statement holds (%s) is no outage, whatever the values say",
		async (state) => {
			const error = wrapped(refused(state), "ECONNREFUSED, Connection terminated");
			expect(await answerTo(error)).toEqual(bug);
			expect(isStatementRefused(error)).toBe(true);
		},
	);

	it.each([
		["whose name is not known", "postgres://u:p@nowhere.invalid:5432/x"],
		["at whose addresses nothing listens", "postgres://u:p@localhost:1/x"],
	])("%s is a 503", async (_, url) => {
		const database = openDatabase({
			url,
			applicationName: "capydb-test",
			connectionsMax: 1,
			statementTimeoutMs: 1_000,
			log: silentLog,
		});
		onTestFinished(() => database.close());
		const error = await database.prepared("ping", "select 1", []).catch((reason: Error) => reason);
		expect(await answerTo(error as Error)).toEqual(outage);
	});

	it("that has become read-only, as after a failover, is a 503 for publishers until it is writable again", async () => {
		const server = await startTestServer();
		const owner = await addOrganization(server);
		const name = new URL(server.databaseUrl).pathname.slice(1);
		const setReadOnly = async (setting: "on" | "off") => {
			await server.sql(`begin read write;
				alter database "${name}" set default_transaction_read_only = ${setting};
				commit`);
			await server.sql(`select pg_terminate_backend(pid) from pg_stat_activity
				where datname = current_database() and pid <> pg_backend_pid()`);
		};
		await setReadOnly("on");
		const ask = () => postEvents(server, owner, '{"type":"a.b","data":1}');
		const answer = await ask();
		expect([answer.status, answer.body.code, answer.headers.get("retry-after")]).toEqual(outage);
		await setReadOnly("off");
		expect((await ask()).status).toBe(202);
	});
});

it("a host that a customer names is not ours: away, it is no outage of the control database", async () => {
	const ofProject = new ProjectDatabaseError("could_not_connect", "No.", network("ENOTFOUND"));
	expect(await answerTo(ofProject)).toEqual(bug);
	const resolver = async () => Promise.reject(network("ENOTFOUND"));
	const server = await startTestServer({ resolver });
	const { projectId, key } = await server.tenant();
	const { status, body } = await server.call("PUT", `/v1/projects/${projectId}/integrations/auth0`, {
		key,
		body: { credentials: { domain: "tenant.auth0.com", client_id: "id", client_secret: "s" } },
	});
	expect([status, body.code]).toEqual([502, "provider.unavailable"]);
});
