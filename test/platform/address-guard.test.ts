import { describe, expect, it } from "vitest";
import { type AddressVerdict, createAddressGuard, isCidr } from "../../src/platform/address-guard.ts";

const strict = createAddressGuard({ allow: [] });
const any = createAddressGuard({ allow: "any" });
const lists = createAddressGuard({ allow: ["10.1.0.0/16", "127.0.0.0/8", "fd00::/8", "169.254.0.0/16"] });

const PUBLIC = [
	...["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"],
	...["128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255"],
	...["192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0"],
	...["198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0"],
	...["223.255.255.255", "1.0.0.0", "2606:4700:4700::1111", "2001:200::1", "2001:4860:4860::8888"],
	...["2001:db7:ffff::1", "2001:db9::1", "2003::1", "2000::1", "3ffe:ffff::1", "3fff:1000::1"],
	...["::ffff:8.8.8.8", "::ffff:808:808", "0:0:0:0:0:ffff:0808:0808", "64:ff9b::8.8.8.8"],
];

const FORBIDDEN = [
	...["0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1"],
	...["127.0.0.0", "127.255.255.255", "169.254.0.0", "169.254.255.255", "172.16.0.0", "172.31.255.255"],
	...[
		"192.0.0.0",
		"192.0.0.255",
		"192.0.2.0",
		"192.0.2.255",
		"192.88.99.1",
		"192.168.0.0",
		"192.168.255.255",
	],
	...["198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.255", "224.0.0.1", "239.255.255.255"],
	...["240.0.0.1", "255.255.255.255", "::", "::1", "0:0:0:0:0:0:0:1", "::2", "100::1", "fc00::1", "fdff::1"],
	...[
		"fe80::1",
		"fe80::1%eth0",
		"febf::1",
		"fec0::1",
		"feff::1",
		"ff02::1",
		"ffff::1",
		"2001::1",
		"2001:1ff::1",
	],
	...["2001:db8::1", "2001:0db8:ffff::1", "2002:0808:0808::1", "2002:7f00:1::", "3fff::1", "3fff:fff::1"],
	...["::ffff:127.0.0.1", "::ffff:7f00:1", "::FFFF:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1"],
	...["::127.0.0.1", "::8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::8.8.8.8", "4000::1"],
	...["1fff::1", "5f00::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
];

const NOT_ADDRESSES = [
	"",
	"example.com",
	"1.2.3",
	"01.2.3.4",
	"1.2.3.4/8",
	"[::1]",
	"0x7f.1",
	"::g",
	"2130706433",
];

const METADATA = [
	...[
		"169.254.169.254",
		"169.254.170.2",
		"169.254.170.23",
		"100.100.100.200",
		"168.63.129.16",
		"192.0.0.192",
	],
	...[
		"fd00:ec2::254",
		"fd00:0ec2:0:0:0:0:0:0254",
		"fd20:ce::254",
		"::ffff:169.254.169.254",
		"::ffff:a9fe:a9fe",
	],
	...["::ffff:100.100.100.200", "::ffff:168.63.129.16", "::ffff:169.254.170.2", "::169.254.169.254"],
	...["64:ff9b::169.254.169.254", "64:ff9b::168.63.129.16", "2002:a9fe:a9fe::1", "fe80::a9fe:a9fe"],
	...["2001:0:a9fe:a9fe::1", "2001:0:1:1:0:0:5601:5601", "::ffff:0:169.254.169.254"],
];

describe("a literal address", () => {
	it.each(PUBLIC)("%s is public, whatever the allowlist", (address) => {
		for (const guard of [strict, any, lists]) expect(guard.judge(address)).toBe("public");
	});

	it.each(FORBIDDEN)("%s is forbidden", (address) => {
		expect(strict.judge(address)).toBe("forbidden");
	});

	it.each(NOT_ADDRESSES)("%j is no address, so it is forbidden", (address) => {
		for (const guard of [strict, any, lists]) expect(guard.judge(address)).toBe("forbidden");
	});

	it.each(METADATA)("%s is cloud metadata and forbidden under every allowlist", (address) => {
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
		const rest = FORBIDDEN.filter((address) => !METADATA.includes(address));
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
