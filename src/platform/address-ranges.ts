import { isIPv4, isIPv6 } from "node:net";

/** An IP address as its bytes: four for IPv4, sixteen for IPv6. An IPv4-mapped IPv6 address is its IPv4 one. */
export type AddressBytes = readonly number[];
export type AddressRange = { bytes: AddressBytes; prefixBits: number };

/** Reads a literal address in the spelling that `node:net` accepts, a zone is dropped; null for anything else. */
export function parseAddress(text: string): AddressBytes | null {
	const bytes = parseUnmapped(text.split("%", 1)[0] ?? "");
	return bytes !== null && bytes.length === 16 && isWithin(bytes, mapped) ? bytes.slice(12) : bytes;
}

/** Reads `address/bits`; null when malformed. Bits beyond the prefix are ignored. */
export function parseRange(cidr: string): AddressRange | null {
	const [, address, bits] = /^([^/%]+)\/(\d{1,3})$/.exec(cidr) ?? [];
	const bytes = parseUnmapped(address ?? "");
	const prefixBits = Number(bits);
	if (bytes === null || prefixBits > bytes.length * 8) return null;
	if (bytes.length === 16 && prefixBits >= 96 && isWithin(bytes, mapped)) {
		return { bytes: bytes.slice(12), prefixBits: prefixBits - 96 };
	}
	return { bytes, prefixBits };
}

export function isWithin(bytes: AddressBytes, range: AddressRange): boolean {
	if (bytes.length !== range.bytes.length) return false;
	const whole = range.prefixBits >> 3;
	for (let index = 0; index < whole; index += 1) {
		if (bytes[index] !== range.bytes[index]) return false;
	}
	const mask = (0xff00 >> (range.prefixBits & 7)) & 0xff;
	return mask === 0 || ((bytes[whole] ?? 0) & mask) === ((range.bytes[whole] ?? 0) & mask);
}

/** Whether the open internet can hold a receiver at this address (IANA's special-purpose address registries). */
export function isPublicAddress(bytes: AddressBytes): boolean {
	if (bytes.length === 4) return !specialV4.some((range) => isWithin(bytes, range));
	// A network without IPv4 reaches every IPv4 host through this prefix (RFC 6052), so the host inside counts.
	if (isWithin(bytes, nat64)) return isPublicAddress(bytes.slice(12));
	return isWithin(bytes, globalUnicast) && !specialV6.some((range) => isWithin(bytes, range));
}

/** Whether a cloud hands out its credentials here, also when the IPv4 address is carried inside an IPv6 one. */
export function isMetadataAddress(bytes: AddressBytes): boolean {
	return [bytes, ...embeddedV4(bytes)].some((candidate) =>
		metadataAddresses.some((range) => isWithin(candidate, range)),
	);
}

function embeddedV4(bytes: AddressBytes): AddressBytes[] {
	if (bytes.length === 4) return [];
	if (isWithin(bytes, sixToFour)) return [bytes.slice(2, 6)];
	if (isWithin(bytes, teredo)) return [bytes.slice(4, 8), bytes.slice(12).map((byte) => byte ^ 0xff)];
	return carriers.some((range) => isWithin(bytes, range)) ? [bytes.slice(12)] : [];
}

function parseUnmapped(text: string): AddressBytes | null {
	if (isIPv4(text)) return text.split(".").map(Number);
	if (!isIPv6(text) || text.includes("%")) return null;
	const [head = "", tail] = text.split("::");
	const left = groupsToBytes(head);
	if (tail === undefined) return left;
	const right = groupsToBytes(tail);
	return [...left, ...new Array<number>(16 - left.length - right.length).fill(0), ...right];
}

function groupsToBytes(groups: string): number[] {
	if (groups === "") return [];
	return groups.split(":").flatMap((group) => {
		if (group.includes(".")) return group.split(".").map(Number);
		const value = Number.parseInt(group, 16);
		return [value >> 8, value & 0xff];
	});
}

function known(cidr: string): AddressRange {
	const bytes = parseUnmapped(cidr.split("/", 1)[0] ?? "");
	if (bytes === null) throw new Error(`not a range: ${cidr}`);
	return { bytes, prefixBits: Number(cidr.split("/")[1] ?? bytes.length * 8) };
}

const mapped = known("::ffff:0:0/96");
const nat64 = known("64:ff9b::/96");
const sixToFour = known("2002::/16");
const teredo = known("2001::/32");
const globalUnicast = known("2000::/3");

/** Prefixes that carry an IPv4 address in their last four bytes: compatible, translated, NAT64 (both), link-local. */
const carriers = ["::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "fe80::/64"].map(known);

const specialV4 = [
	"0.0.0.0/8", // this network
	"10.0.0.0/8", // private
	"100.64.0.0/10", // carrier-grade NAT
	"127.0.0.0/8", // loopback
	"169.254.0.0/16", // link-local
	"172.16.0.0/12", // private
	"192.0.0.0/24", // protocol assignments
	"192.0.2.0/24", // documentation
	"192.88.99.0/24", // 6to4 relays, withdrawn
	"192.168.0.0/16", // private
	"198.18.0.0/15", // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24", // documentation
	"224.0.0.0/4", // multicast
	"240.0.0.0/4", // reserved, broadcast
].map(known);

/** Inside 2000::/3 only. Unspecified, loopback, discard, ULA, link- and site-local, multicast lie outside it. */
const specialV6 = [
	"2001::/23", // protocol assignments: Teredo, benchmarks, ORCHID
	"2001:db8::/32", // documentation
	"2002::/16", // 6to4
	"3fff::/20", // documentation
].map(known);

const metadataAddresses = [
	"169.254.169.254", // AWS, Google Cloud, Azure, DigitalOcean, OpenStack and others
	"169.254.170.2", // AWS: credentials of a container
	"169.254.170.23", // AWS: credentials of a pod
	"169.254.0.23", // Tencent Cloud
	"169.254.42.42", // Scaleway
	"100.100.100.200", // Alibaba Cloud
	"168.63.129.16", // Azure: wire server
	"192.0.0.192", // Oracle Cloud
	"fd00:ec2::254", // AWS
	"fd00:ec2::23", // AWS: credentials of a pod
	"fd20:ce::254", // Google Cloud
	"fd00:42::42", // Scaleway
].map(known);
