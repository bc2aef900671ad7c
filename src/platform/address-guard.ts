import type { LookupAddress, LookupOptions } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import {
	type AddressRange,
	isMetadataAddress,
	isPublicAddress,
	isWithin,
	parseAddress,
	parseRange,
} from "./address-ranges.ts";
import { createResolver, type ResolvedAddress, type Resolver } from "./host-resolver.ts";

/** `allowed` is an address that is not public but that the operator has allowlisted. */
export type AddressVerdict = "public" | "allowed" | "forbidden";

/** What a name stands for, once every one of its addresses has been judged. */
export type Resolution =
	| { kind: "addresses"; addresses: (ResolvedAddress & { verdict: "public" | "allowed" })[] }
	/** `address` is null when the name itself is refused. */
	| { kind: "blocked"; address: string | null }
	| { kind: "dns_error" };

export type AddressGuard = {
	/** Whether the operator allows every address but cloud metadata, plain http included. */
	readonly allowAny: boolean;
	/** Judges one literal address; anything that is not one is forbidden. */
	judge(address: string): AddressVerdict;
	/** True for names that are refused without asking DNS, with or without a trailing dot. */
	isForbiddenName(host: string): boolean;
	/** Resolves a name, or takes a literal with or without brackets. One forbidden address refuses them all. */
	resolve(host: string, options: { timeoutMs: number }): Promise<Resolution>;
	/**
	 * The lookup of a socket: what it calls back with has been judged, so the address that is checked is the one
	 * that is used. Errors: `BlockedAddressError` (code EBLOCKED), `UnresolvedNameError` (code EUNRESOLVED). A
	 * socket asks no lookup for a literal address: judge those before.
	 */
	lookup: LookupFunction;
};

export class BlockedAddressError extends Error {
	readonly code = "EBLOCKED";

	constructor() {
		super("the address guard refused this host");
		this.name = "BlockedAddressError";
	}
}

export class UnresolvedNameError extends Error {
	readonly code = "EUNRESOLVED";

	constructor(cause?: unknown) {
		super("the name has no address", { cause });
		this.name = "UnresolvedNameError";
	}
}

/**
 * The guard between tenants' host names and our network. `allow` lists the private ranges (CIDR) that a tenant may
 * name, or is `"any"`; cloud metadata stays forbidden under both. Throws on a malformed CIDR: see `isCidr`.
 */
export function createAddressGuard(options: {
	allow: readonly string[] | "any";
	resolver?: Resolver;
}): AddressGuard {
	const allowAny = options.allow === "any";
	const allowed = options.allow === "any" ? [] : options.allow.map(rangeOf);
	const ask = sharingAnswers(options.resolver ?? createResolver());

	function judge(address: string): AddressVerdict {
		const bytes = parseAddress(address);
		if (bytes === null || isMetadataAddress(bytes)) return "forbidden";
		if (isPublicAddress(bytes)) return "public";
		return allowAny || allowed.some((range) => isWithin(bytes, range)) ? "allowed" : "forbidden";
	}

	function isForbiddenName(host: string): boolean {
		const name = host.toLowerCase().replace(/\.+$/, "");
		if (metadataNames.includes(name)) return true;
		return !allowAny && localNames.some((local) => name === local || name.endsWith(`.${local}`));
	}

	async function resolve(host: string, { timeoutMs }: { timeoutMs: number }): Promise<Resolution> {
		const literal = host.replace(/^\[(.*)\]$/, "$1");
		const family = isIP(literal);
		if (family !== 0) return judgeAll([{ address: literal, family: family === 4 ? 4 : 6 }], judge);
		if (isForbiddenName(host)) return { kind: "blocked", address: null };
		const found = await withinTime(ask(host), timeoutMs).catch(() => null);
		return found === null || found.length === 0 ? { kind: "dns_error" } : judgeAll(found, judge);
	}

	const lookup: LookupFunction = (host, wanted, callback) => {
		if (isForbiddenName(host)) {
			process.nextTick(callback, new BlockedAddressError(), "");
			return;
		}
		ask(host).then(
			(found) => answerLookup(judgeAll(found, judge), wanted, callback),
			(cause: unknown) => callback(new UnresolvedNameError(cause), ""),
		);
	};

	return { allowAny, judge, isForbiddenName, resolve, lookup };
}

/** Whether the text is a range as `createAddressGuard` takes it, such as `10.0.0.0/8` or `fd00::/8`. */
export function isCidr(text: string): boolean {
	return parseRange(text) !== null;
}

const localNames = ["localhost", "internal", "local"];
const metadataNames = ["metadata.google.internal", "metadata.goog"];

function rangeOf(cidr: string): AddressRange {
	const range = parseRange(cidr);
	if (range === null) throw new TypeError(`not a CIDR range: ${cidr}`);
	return range;
}

/**
 * One question at a time for a name, however many sockets are opened to it. Nothing is kept once the answer is there,
 * so a changed record counts at the next connect.
 */
function sharingAnswers(resolver: Resolver): Resolver {
	const open = new Map<string, Promise<ResolvedAddress[]>>();
	return (host) => {
		const asked = open.get(host);
		if (asked !== undefined) return asked;
		const answer = resolver(host).finally(() => open.delete(host));
		open.set(host, answer);
		return answer;
	};
}

function judgeAll(
	found: readonly ResolvedAddress[],
	judge: (address: string) => AddressVerdict,
): Exclude<Resolution, { kind: "dns_error" }> {
	const addresses: (ResolvedAddress & { verdict: "public" | "allowed" })[] = [];
	for (const { address, family } of found) {
		const verdict = judge(address);
		if (verdict === "forbidden") return { kind: "blocked", address };
		addresses.push({ address, family, verdict });
	}
	return { kind: "addresses", addresses };
}

function answerLookup(
	resolution: Resolution,
	wanted: LookupOptions,
	callback: Parameters<LookupFunction>[2],
): void {
	const family = wanted.family === "IPv4" ? 4 : wanted.family === "IPv6" ? 6 : (wanted.family ?? 0);
	const usable: LookupAddress[] = [];
	for (const { address, family: own } of resolution.kind === "addresses" ? resolution.addresses : []) {
		if (family === 0 || own === family) usable.push({ address, family: own });
	}
	const first = usable[0];
	if (resolution.kind === "blocked") callback(new BlockedAddressError(), "");
	else if (first === undefined) callback(new UnresolvedNameError(), "");
	else if (wanted.all === true) callback(null, usable);
	else callback(null, first.address, first.family);
}

async function withinTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
	const { promise, reject } = Promise.withResolvers<never>();
	const timer = setTimeout(() => reject(new UnresolvedNameError()), timeoutMs);
	try {
		return await Promise.race([work, promise]);
	} finally {
		clearTimeout(timer);
	}
}
