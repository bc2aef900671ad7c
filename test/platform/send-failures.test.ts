import { describe, expect, it } from "vitest";
import { failureOf } from "../../src/platform/send-failures.ts";

/** As Node makes it of a connect to a literal address that failed. */
function failed(code: string, address: string): Error {
	return Object.assign(new Error(`connect ${code} ${address}:443`), { code, syscall: "connect", address });
}

/** As Node makes it of a connect that tried the addresses of a host in turn. It has the first one's code. */
function allFailed(...errors: Error[]): Error {
	return Object.assign(new AggregateError(errors), { code: (errors[0] as NodeJS.ErrnoException).code });
}

const [six, four] = ["2001:db8::1", "192.0.2.1"];
const unreachable = expect.objectContaining({ errorCode: "connection_refused" });

describe("a connect that this machine has no address for", () => {
	it.each([
		["IPv6, where this host has none", failed("EADDRNOTAVAIL", six)],
		["IPv6, where this host has not even sockets for it", failed("EAFNOSUPPORT", six)],
		["IPv6, and IPv4 that refused", allFailed(failed("EADDRNOTAVAIL", six), failed("ECONNREFUSED", four))],
	])("to %s is the receiver's: it counts, and ends", (_case, error) => {
		expect(failureOf(error)).toEqual(unreachable);
		expect(failureOf(error)).not.toHaveProperty("ours");
	});

	it.each([
		["IPv4, all of whose ports are taken", failed("EADDRNOTAVAIL", four)],
		["IPv6 without a route, and IPv4", allFailed(failed("ENETUNREACH", six), failed("EADDRNOTAVAIL", four))],
		["IPv6 that refused, and IPv4", allFailed(failed("ECONNREFUSED", six), failed("EMFILE", four))],
	])("to %s is ours: it counts for nobody", (_case, error) => {
		expect(failureOf(error)).toMatchObject({ ours: true });
	});
});
