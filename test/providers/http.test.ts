import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ProviderError } from "../../src/providers/errors.ts";
import { createProviderHttp } from "../../src/providers/http.ts";

const token = "tok_0123456789";
const running: Server[] = [];

afterEach(async () => {
	for (const server of running.splice(0)) {
		server.closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	}
});

async function serve(listener: RequestListener) {
	const server = createServer(listener);
	running.push(server);
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	return createProviderHttp({
		provider: "Acme",
		origin,
		credential: "token",
		readVendorCode: (json) => (json as { code?: unknown } | undefined)?.code,
	});
}

const answering = (status: number, body = "", headers = {}) =>
	serve((_, response) => response.writeHead(status, headers).end(body));

const call = { path: "/thing", headers: { authorization: `Bearer ${token}` } };

async function failure(promise: Promise<unknown>): Promise<ProviderError> {
	const error = await promise.then(
		() => null,
		(thrown: unknown) => thrown,
	);
	if (!(error instanceof ProviderError))
		throw new Error("It did not fail as a provider does.", { cause: error });
	expect(`${error.message} ${error.vendorCode} ${error.stack} ${String(error.cause)}`).not.toContain(token);
	return error;
}

describe("a call to a provider", () => {
	it("sends JSON and an encoded query, and gives back JSON", async () => {
		const http = await serve(async (request, response) => {
			const body = (await request.toArray()).join("");
			response.end(
				JSON.stringify({
					method: request.method,
					url: request.url,
					body,
					agent: request.headers["user-agent"],
				}),
			);
		});
		const query = { order: "+name", skipped: undefined, page: 2 };
		const answer = await http.request({ ...call, method: "POST", query, body: { a: "ü" } });
		expect(answer.status).toBe(200);
		expect(answer.json).toEqual({
			method: "POST",
			url: "/thing?order=%2Bname&page=2",
			body: '{"a":"ü"}',
			agent: "capydb-integrations/1.0",
		});
	});

	it("may have an answer without a body", async () => {
		const http = await answering(204);
		expect((await http.request({ ...call, method: "DELETE" })).json).toBeNull();
	});

	it.each([
		[401, "unauthorized", "Acme refused the token."],
		[403, "forbidden", "Acme does not allow this token to do that."],
		[404, "not_found", "Acme knows nothing under that name."],
		[400, "invalid_request", "Acme refused the request."],
		[422, "invalid_request", "Acme refused the request."],
		[408, "unavailable", "Acme is out of order just now."],
		[500, "unavailable", "Acme is out of order just now."],
		[503, "unavailable", "Acme is out of order just now."],
		[429, "rate_limited", "Acme asked us to slow down."],
		[304, "unexpected_answer", "Acme gave an answer that we do not understand."],
	])("answered %i fails as %s", async (status, reason, message) => {
		const http = await answering(status);
		expect(await failure(http.request(call))).toMatchObject({ reason, status, message, provider: "Acme" });
	});

	it("does not follow a redirect", async () => {
		const paths: (string | undefined)[] = [];
		const http = await serve((request, response) => {
			paths.push(request.url);
			response.writeHead(302, { location: "/elsewhere" }).end();
		});
		expect((await failure(http.request(call))).reason).toBe("unexpected_answer");
		expect(paths).toEqual(["/thing"]);
	});

	it("waits as the provider says, in seconds or until a date", async () => {
		const wait = async (value: string) => {
			const http = await answering(429, "", { "retry-after": value });
			return (await failure(http.request(call))).retryAfterSeconds;
		};
		expect(await wait("120")).toBe(120);
		expect(await wait("0")).toBe(1);
		expect(await wait("1e9")).toBe(10);
		expect(await wait("soon")).toBe(10);
		expect(await wait("999999999")).toBe(86_400);
		expect(await wait("Sun, 06 Nov 1994 08:49:37 GMT")).toBe(1);
		const until = await wait(new Date(Date.now() + 60_000).toUTCString());
		expect(until).toBeGreaterThan(50);
		expect(until).toBeLessThanOrEqual(60);
	});

	it("keeps the vendor's code only, cleaned and cut", async () => {
		const code = async (body: string) => {
			const http = await answering(400, body);
			return (await failure(http.request(call))).vendorCode;
		};
		expect(await code('{"code":"quota.exceeded","message":"secret text"}')).toBe("quota.exceeded");
		expect(await code('{"code":"<b>bad</b>\\n code"}')).toBe("bbadbcode");
		expect(await code(JSON.stringify({ code: "x".repeat(500) }))).toHaveLength(100);
		expect(await code('{"code":{"a":1}}')).toBeUndefined();
		expect(await code("<html>")).toBeUndefined();
	});

	it("never repeats the credential, even when the provider does", async () => {
		const http = await answering(401, JSON.stringify({ code: `bad_${token}`, message: token }));
		expect((await failure(http.request(call))).vendorCode).toBeUndefined();
	});

	it("fails when a good answer is not JSON", async () => {
		const http = await answering(200, "<html>");
		expect(await failure(http.request(call))).toMatchObject({ reason: "unexpected_answer", status: 200 });
	});

	it("reads no more than the cap of an answer that does not end", async () => {
		const http = await serve((_, response) => {
			const write = () => {
				while (!response.destroyed && response.write("x".repeat(65_536)));
				response.once("drain", write);
			};
			write();
		});
		expect((await failure(http.request(call))).message).toBe("Acme gave an answer that is too long to read.");
	});

	it.each([
		["never answers", () => {}],
		[
			"stops in the middle of its answer",
			(_: unknown, response: { write: (text: string) => void }) => response.write("{"),
		],
	])("ends by its deadline when the provider %s", async (_, listener) => {
		const http = await serve(listener as RequestListener);
		const error = await failure(http.request({ ...call, deadlineMs: 150 }));
		expect(error).toMatchObject({ reason: "unavailable", message: "Acme did not answer in time." });
	});

	it("fails as unavailable when nobody listens or the connection breaks", async () => {
		const http = await serve((request) => request.socket.destroy());
		expect(await failure(http.request(call))).toMatchObject({
			reason: "unavailable",
			message: "Acme could not be reached.",
		});
		const nobody = createProviderHttp({ provider: "Acme", origin: "http://127.0.0.1:1" });
		expect((await failure(nobody.request(call))).reason).toBe("unavailable");
	});

	it("given up by the caller throws the caller's own reason", async () => {
		const http = await serve(() => {});
		const signal = AbortSignal.abort(new Error("stopping"));
		await expect(http.request({ ...call, signal })).rejects.toThrow("stopping");
	});
});
