import { describe, expect, it } from "vitest";
import { type AddressVerdict, createAddressGuard, isCidr } from "../../src/platform/address-guard.ts";
import {
	FORBIDDEN_ADDRESSES,
	METADATA_ADDRESSES,
	NOT_ADDRESSES,
	PUBLIC_ADDRESSES,
} from "../fixtures/addresses.ts";

const strict = createAddressGuard({ allow: [] });
const any = createAddressGuard({ allow: "any" });
const lists = createAddressGuard({ allow: ["10.1.0.0/16", "127.0.0.0/8", "fd00::/8", "169.254.0.0/16"] });

describe("a literal address", () => {
	it.each(PUBLIC_ADDRESSES)("%s is public, whatever the allowlist", (address) => {
		for (const guard of [strict, any, lists]) expect(guard.judge(address)).toBe("public");
	});

	it.each(FORBIDDEN_ADDRESSES)("%s is forbidden", (address) => {
		expect(strict.judge(address)).toBe("forbidden");
	});

	it.each(NOT_ADDRESSES)("%j is no address, so it is forbidden", (address) => {
		for (const guard of [strict, any, lists]) expect(guard.judge(address)).toBe("forbidden");
	});

	it.each(METADATA_ADDRESSES)("%s is cloud metadata and forbidden under every allowlist", (address) => {
		const everything = createAddressGuard({ allow: ["0.0.0.0/0", "::/0", "::ffff:0:0/96"] });
		for (const guard of [strict, any, lists, everything]) expect(guard.judge(address)).toBe("forbidden");
	});

	it.each<[string, AddressVerdict]>([
		["10.1.0.0", "allowed"],
		["10.1.255.255", "allowed"],
		["10.0.255.255", "forbidden"],
		["10.2.0.0", "forbidden"],
		["::ffff:10.1.2.3", "allowed"],
		["::ffff:10.2.2.3", "forbidden"],
		["127.8.9.10", "allowed"],
		["::1", "forbidden"],
		["fd12::1", "allowed"],
		["fc12::1", "forbidden"],
		["169.254.1.1", "allowed"],
		["64:ff9b::10.1.2.3", "forbidden"],
		["::10.1.2.3", "forbidden"],
	])("%s is %s under an allowlist", (address, verdict) => {
		expect(lists.judge(address)).toBe(verdict);
	});

	it("that is not public is allowed when any is", () => {
		const rest = FORBIDDEN_ADDRESSES.filter((address) => !METADATA_ADDRESSES.includes(address));
		for (const address of rest) expect([address, any.judge(address)]).toEqual([address, "allowed"]);
	});
});

describe("a range", () => {
	it.each(["10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32", "::/0", "fd00::/8", "::1/128", "::ffff:10.0.0.0/104"])(
		"%s is CIDR",
		(text) => {
			expect(isCidr(text)).toBe(true);
			expect(() => createAddressGuard({ allow: [text] })).not.toThrow();
		},
	);

	it.each([
		"",
		"10.0.0.0",
		"10.0.0.0/33",
		"10.0.0/8",
		"::/129",
		"fe80::1%1/64",
		"10.0.0.0/",
		"/8",
		"any",
		"a/8",
	])("%j is not CIDR", (text) => {
		expect(isCidr(text)).toBe(false);
		expect(() => createAddressGuard({ allow: [text] })).toThrow(TypeError);
	});

	it("in IPv4-mapped spelling counts for its IPv4 addresses", () => {
		const guard = createAddressGuard({ allow: ["::ffff:10.0.0.0/104"] });
		expect([guard.judge("10.9.9.9"), guard.judge("11.0.0.0")]).toEqual(["allowed", "public"]);
		expect(guard.judge("192.168.0.1")).toBe("forbidden");
	});

	it("may end inside a byte", () => {
		const guard = createAddressGuard({ allow: ["172.20.128.0/18"] });
		expect(["172.20.127.255", "172.20.128.0", "172.20.191.255", "172.20.192.0"].map(guard.judge)).toEqual([
			"forbidden",
			"allowed",
			"allowed",
			"forbidden",
		]);
	});
});
