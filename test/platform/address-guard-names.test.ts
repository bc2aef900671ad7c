import { promises as dns } from "node:dns";
import type { LookupFunction } from "node:net";
import { describe, expect, it } from "vitest";
import { createAddressGuard } from "../../src/platform/address-guard.ts";

const strict = createAddressGuard({ allow: [] });
const any = createAddressGuard({ allow: "any" });

describe("a name", () => {
	it.each([
		...[
			"localhost",
			"LOCALHOST",
			"localhost.",
			"a.localhost",
			"db.internal",
			"db.internal.",
			"printer.local",
		],
		...["printer.LOCAL.", "x.y.internal", "metadata.google.internal"],
	])("%s is refused without asking DNS", async (host) => {
		const guard = createAddressGuard({
			allow: ["127.0.0.0/8"],
			resolver: () => Promise.reject(new Error("asked")),
		});
		expect(guard.isForbiddenName(host)).toBe(true);
		expect(await guard.resolve(host, { timeoutMs: 100 })).toEqual({ kind: "blocked", address: null });
		await expect(lookup(guard.lookup, host, {})).rejects.toMatchObject({ code: "EBLOCKED" });
	});

	it.each(["example.com", "localhost.example.com", "mylocalhost", "internal.example.com", "notlocal"])(
		"%s is left to DNS",
		(host) => {
			expect(strict.isForbiddenName(host)).toBe(false);
		},
	);

	it("is not refused when any address is allowed, but for cloud metadata", () => {
		expect(["localhost", "db.internal", "printer.local"].map(any.isForbiddenName)).toEqual([
			false,
			false,
			false,
		]);
		expect(any.isForbiddenName("Metadata.Google.Internal.")).toBe(true);
	});
});

describe("what a name resolves to", () => {
	it("is refused when one of its addresses is forbidden", async () => {
		const guard = answering("93.184.215.14", "10.0.0.1");
		expect(await guard.resolve("mixed.example", { timeoutMs: 100 })).toEqual({
			kind: "blocked",
			address: "10.0.0.1",
		});
		await expect(lookup(guard.lookup, "mixed.example", { all: true })).rejects.toMatchObject({
			code: "EBLOCKED",
		});
		await expect(lookup(guard.lookup, "mixed.example", { family: 4 })).rejects.toMatchObject({
			code: "EBLOCKED",
		});
	});

	it("stands for all its judged addresses", async () => {
		const guard = createAddressGuard({ allow: ["10.0.0.0/8"], resolver: resolverOf("8.8.8.8", "10.0.0.1") });
		expect(await guard.resolve("good.example", { timeoutMs: 100 })).toEqual({
			kind: "addresses",
			addresses: [
				{ address: "8.8.8.8", family: 4, verdict: "public" },
				{ address: "10.0.0.1", family: 4, verdict: "allowed" },
			],
		});
	});

	it("may be a literal, with or without brackets", async () => {
		const found = {
			kind: "addresses",
			addresses: [{ address: "2606:4700::1", family: 6, verdict: "public" }],
		};
		expect(await strict.resolve("[2606:4700::1]", { timeoutMs: 100 })).toEqual(found);
		expect(await strict.resolve("2606:4700::1", { timeoutMs: 100 })).toEqual(found);
		expect(await strict.resolve("[::1]", { timeoutMs: 100 })).toEqual({ kind: "blocked", address: "::1" });
	});

	it.each([
		["that does not resolve", () => Promise.reject(Object.assign(new Error(), { code: "ENOTFOUND" }))],
		["without an address", () => Promise.resolve([])],
		["whose answer takes too long", () => new Promise<never>(() => {})],
	])("%s is a DNS error", async (_case, resolver) => {
		const guard = createAddressGuard({ allow: [], resolver });
		expect(await guard.resolve("gone.example", { timeoutMs: 20 })).toEqual({ kind: "dns_error" });
	});
});

describe("the lookup of a socket", () => {
	it("answers in both of Node's forms and keeps the family that was asked for", async () => {
		const guard = answering("8.8.8.8", "2606:4700::1");
		expect(await lookup(guard.lookup, "a.example", {})).toEqual(["8.8.8.8", 4]);
		expect(await lookup(guard.lookup, "a.example", { family: 6 })).toEqual(["2606:4700::1", 6]);
		expect(await lookup(guard.lookup, "a.example", { all: true })).toEqual([
			[
				{ address: "8.8.8.8", family: 4 },
				{ address: "2606:4700::1", family: 6 },
			],
			undefined,
		]);
		await expect(lookup(answering("8.8.8.8").lookup, "a.example", { family: 6 })).rejects.toMatchObject({
			code: "EUNRESOLVED",
		});
	});

	it("reports a name that does not resolve", async () => {
		const guard = createAddressGuard({
			allow: [],
			resolver: () => Promise.reject(new Error("no such name")),
		});
		await expect(lookup(guard.lookup, "gone.example", {})).rejects.toMatchObject({ code: "EUNRESOLVED" });
	});

	it("asks once for many sockets at a time, and again afterwards", async () => {
		let asked = 0;
		const guard = createAddressGuard({
			allow: [],
			resolver: async () => {
				asked += 1;
				return [{ address: "8.8.8.8", family: 4 }];
			},
		});
		await Promise.all(Array.from({ length: 50 }, () => lookup(guard.lookup, "a.example", {})));
		expect(asked).toBe(1);
		await lookup(guard.lookup, "a.example", {});
		expect(asked).toBe(2);
	});

	it("uses the system's resolver by default", async () => {
		const addresses = (await dns.lookup("localhost", { all: true })).map(({ address }) => address);
		const [first] = await lookup(any.lookup, "localhost", {});
		expect(addresses).toContain(first);
	});
});

function resolverOf(...addresses: string[]) {
	return async () =>
		addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }) as const);
}

function answering(...addresses: string[]) {
	return createAddressGuard({ allow: [], resolver: resolverOf(...addresses) });
}

function lookup(ask: LookupFunction, host: string, options: Parameters<LookupFunction>[1]) {
	return new Promise<unknown[]>((resolve, reject) => {
		ask(host, options, (error, address, family) => (error ? reject(error) : resolve([address, family])));
	});
}
