import { isIP, type LookupFunction } from "node:net";
import { buildConnector } from "undici";
import { type AddressGuard, BlockedAddressError } from "./address-guard.ts";

/** How a client of undici opens its connections. */
export type Connect = buildConnector.connector;

type OpenSocket = { once(event: "close", listener: () => void): unknown };

const attemptTimeoutMs = 2000;
const dnsTimeoutMs = 2000;
const connectTimeoutMs = 10_000;

/** The way to hosts that tenants name in the credentials of a provider: judged when saved, and at every connect. */
export function createTenantHosts(guard: AddressGuard) {
	return {
		connect: guardedConnector({ guard, timeoutMs: connectTimeoutMs }),
		/** DNS is best effort here: no answer is accepted, because the connector judges again. */
		isAllowed: async (host: string): Promise<boolean> =>
			(await guard.resolve(host, { timeoutMs: dnsTimeoutMs })).kind !== "blocked",
	};
}

/**
 * Opens connections to judged addresses only. A socket asks no lookup for a literal address, so those are judged
 * here; the address that a connection really has is judged once more and says whether its origin is private. Plain
 * http goes only to allowlisted addresses.
 */
export function guardedConnector(options: {
	guard: AddressGuard;
	timeoutMs: number;
	/** Certificate authorities instead of the system's (PEM). */
	ca?: string | Buffer;
	/** Called with each connection to an allowlisted private address. */
	onPrivate?: (origin: string, socket: OpenSocket) => void;
}): Connect {
	const { guard } = options;
	const shared = {
		allowH2: false,
		timeout: options.timeoutMs,
		// Node gives a host's first address 250 ms before it drops it for the next: too little across an ocean.
		autoSelectFamilyAttemptTimeout: attemptTimeoutMs,
		minVersion: "TLSv1.2",
		// Said outright, so that NODE_TLS_REJECT_UNAUTHORIZED cannot switch it off.
		rejectUnauthorized: true,
		...(options.ca === undefined ? {} : { ca: options.ca }),
	} as const;
	const secure = buildConnector({ ...shared, lookup: guard.lookup });
	const plain = buildConnector({ ...shared, lookup: guard.allowAny ? guard.lookup : allowlistedOnly(guard) });

	return (target, callback) => {
		const isSecure = target.protocol === "https:";
		if (isIP(target.hostname) !== 0) {
			const verdict = guard.judge(target.hostname);
			const refused = verdict === "forbidden" || (verdict === "public" && !isSecure && !guard.allowAny);
			if (refused) return process.nextTick(callback, new BlockedAddressError(), null);
		}
		const connect = isSecure ? secure : plain;
		connect(target, (...[error, socket]) => {
			if (error !== null) return callback(error, null);
			if (socket.remoteAddress === undefined) return callback(new ClosedAtOnceError(), null);
			const verdict = guard.judge(socket.remoteAddress);
			if (verdict === "forbidden") {
				socket.destroy();
				return callback(new BlockedAddressError(), null);
			}
			if (verdict === "allowed") options.onPrivate?.(`${target.protocol}//${target.host}`, socket);
			callback(null, socket);
		});
	};
}

/** A plain socket error, because undici opens another connection for its own kind, again and again. */
class ClosedAtOnceError extends Error {
	readonly code = "ECONNRESET";
}

/** The guard's lookup for plain http: one address that is not allowlisted refuses. */
function allowlistedOnly(guard: AddressGuard): LookupFunction {
	return (host, wanted, callback) => {
		guard.lookup(host, wanted, (error, address, family) => {
			const addresses = typeof address === "string" ? [address] : address.map((found) => found.address);
			const refused = error === null && addresses.some((found) => guard.judge(found) !== "allowed");
			callback(refused ? new BlockedAddressError() : error, address, family);
		});
	};
}
