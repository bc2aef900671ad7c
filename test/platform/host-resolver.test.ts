import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createResolver } from "../../src/platform/host-resolver.ts";
import { type Says, startNameServer } from "../support/name-server.ts";

async function resolverOf(zone: Record<string, Says>) {
	const server = await startNameServer((name) => zone[name] ?? "unknown");
	return { server, resolve: createResolver({ servers: [server.address] }) };
}

describe("the addresses of a name", () => {
	it("are those of both families, IPv4 first", async () => {
		const { resolve } = await resolverOf({
			"both.example": { a: ["192.0.2.1", "192.0.2.2"], aaaa: ["2001:0db8:0000:0000:0000:0000:0000:0001"] },
			"four.example": { a: ["192.0.2.1"] },
			"six.example": { aaaa: ["2001:0db8:0000:0000:0000:0000:0000:0001"] },
		});
		const four = (address: string) => ({ address, family: 4 });
		const six = { address: "2001:db8::1", family: 6 };
		expect(await resolve("both.example")).toEqual([four("192.0.2.1"), four("192.0.2.2"), six]);
		expect(await resolve("Four.Example.")).toEqual([four("192.0.2.1")]);
		expect(await resolve("six.example")).toEqual([six]);
	});

	it("are asked for anew each time: a record that changed counts at once, whatever it said of how long it holds", async () => {
		const zone: Record<string, Says> = { "moving.example": { a: ["192.0.2.1"] } };
		const { resolve } = await resolverOf(zone);
		await resolve("moving.example");
		zone["moving.example"] = { a: ["192.0.2.2"] };
		expect(await resolve("moving.example")).toEqual([{ address: "192.0.2.2", family: 4 }]);
	});

	it("are those of the hosts file where it has the name, whatever DNS says", async () => {
		const server = await startNameServer(() => ({ a: ["192.0.2.1"] }));
		const folder = await mkdtemp(join(tmpdir(), "hosts-"));
		onTestFinished(() => rm(folder, { recursive: true }));
		const hostsFile = join(folder, "hosts");
		const resolve = createResolver({ servers: [server.address], hostsFile });
		expect(await resolve("db.example")).toEqual([{ address: "192.0.2.1", family: 4 }]);
		await writeFile(
			hostsFile,
			"# 10.9.9.9 db.example\n10.0.0.1\tother DB.example # db\nfd00::1 db.example\n",
		);
		for (const name of ["db.example", "DB.Example."]) {
			expect(await resolve(name)).toEqual([
				{ address: "10.0.0.1", family: 4 },
				{ address: "fd00::1", family: 6 },
			]);
		}
		expect(await resolve("example")).toEqual([{ address: "192.0.2.1", family: 4 }]);
	});

	it("are the system's for localhost: no name server is asked", async () => {
		const { server } = await resolverOf({});
		const resolve = createResolver({ servers: [server.address], hostsFile: "/nonexistent" });
		for (const name of ["localhost", "LOCALHOST", "localhost."]) {
			const addresses = (await resolve(name)).map(({ address }) => address);
			expect(addresses.some((address) => address === "127.0.0.1" || address === "::1")).toBe(true);
		}
		expect(server.asked).toEqual([]);
	});

	it("are looked up as the system does it when name servers do not know it", async () => {
		const { server, resolve } = await resolverOf({});
		// No name at all to DNS, and an address to the system.
		expect(await resolve("127.1")).toEqual([{ address: "127.0.0.1", family: 4 }]);
		expect(server.asked).toContain("127.1");
		await expect(resolve("gone.invalid")).rejects.toMatchObject({ code: "ENOTFOUND" });
	});

	it("are not waited for beyond some seconds, nor looked up by the system then", async () => {
		const { server, resolve } = await resolverOf({ "silent.example": "silence" });
		await expect(resolve("silent.example")).rejects.toMatchObject({ code: "ETIMEOUT" });
		expect(server.asked).toContain("silent.example");
	});
});
