import { describe, expect, it } from "vitest";
import { AppError } from "../../src/core/errors.ts";
import { parseProjectUrl } from "../../src/platform/project-url.ts";

const plain = "postgres://me:secret@db.example.com:6543/app";

function complaintAbout(url: string): string {
	try {
		parseProjectUrl(url, "database_url");
	} catch (error) {
		expect(error).toBeInstanceOf(AppError);
		expect((error as AppError).kind).toBe("invalid");
		expect((error as AppError).code).toBe("database_url.invalid");
		return (error as AppError).message;
	}
	throw new Error(`accepted: ${url}`);
}

describe("a bring-your-own URL", () => {
	it("names host, port, user, password and database", () => {
		expect(parseProjectUrl(plain, "database_url")).toEqual({
			host: "db.example.com",
			port: 6543,
			user: "me",
			password: "secret",
			database: "app",
			sslMode: "prefer",
			applicationName: null,
			options: null,
		});
	});

	it("has port 5432 unless it says otherwise, and takes both schemes", () => {
		expect(parseProjectUrl("postgresql://me:pw@h/db", "database_url").port).toBe(5432);
	});

	it("is percent-decoded part by part", () => {
		const url = "postgres://m%40e:p%2Fw%3A%23@h/my%20db?application_name=my%20app";
		expect(parseProjectUrl(url, "database_url")).toMatchObject({
			user: "m@e",
			password: "p/w:#",
			database: "my db",
			applicationName: "my app",
		});
	});

	it("may name an IPv6 address, an sslmode and an endpoint", () => {
		const url = "postgres://me:pw@[2001:db8::1]:5433/db?sslmode=verify-full&options=endpoint%3Dep-cool-1";
		const read = parseProjectUrl(url, "database_url");
		expect(read).toMatchObject({
			host: "2001:db8::1",
			sslMode: "verify-full",
			options: "endpoint=ep-cool-1",
		});
	});

	it.each([
		["another scheme", "mysql://me:pw@h/db"],
		["no user", "postgres://h/db"],
		["no password", "postgres://me@h/db"],
		["an empty password", "postgres://me:@h/db"],
		["no host", "postgres://me:pw@/db"],
		["no database", "postgres://me:pw@h"],
		["an empty database", "postgres://me:pw@h/"],
		["a deeper path", "postgres://me:pw@h/db/more"],
		["several hosts", "postgres://me:pw@a,b/db"],
		["several hosts with ports", "postgres://me:pw@a:1,b:2/db"],
		["two at-signs", "postgres://me:pw@evil@h/db"],
		["an encoded socket path as host", "postgres://me:pw@%2Fvar%2Frun/db"],
		["a zone in an address", "postgres://me:pw@[fe80::1%25eth0]/db"],
		["a name in brackets", "postgres://me:pw@[example.com]/db"],
		["port 0", "postgres://me:pw@h:0/db"],
		["a port beyond 65535", "postgres://me:pw@h:65536/db"],
		["a fragment", "postgres://me:pw@h/db#x"],
		["a space", "postgres://me:pw@h/d b"],
		["a leading space", " postgres://me:pw@h/db"],
		["a line break", "postgres://me:pw@h/db\n"],
		["a backslash", "postgres://me:pw@h\\x/db"],
		["an encoded NUL", "postgres://me:p%00w@h/db"],
		["an encoded line break", "postgres://me:pw@h/db%0A"],
		["a malformed escape", "postgres://me:p%zzw@h/db"],
		["invalid UTF-8", "postgres://me:p%ffw@h/db"],
		["a second host in the query", "postgres://me:pw@h/db?host=/tmp"],
		["hostaddr", "postgres://me:pw@h/db?hostaddr=127.0.0.1"],
		["a service", "postgres://me:pw@h/db?service=x"],
		["a passfile", "postgres://me:pw@h/db?passfile=/etc/passwd"],
		["a client certificate", "postgres://me:pw@h/db?sslcert=/etc/passwd"],
		["an encoded key", "postgres://me:pw@h/db?%68ost=x"],
		["a key without a value", "postgres://me:pw@h/db?sslmode"],
		["an unknown sslmode", "postgres://me:pw@h/db?sslmode=no-verify"],
		["the same key twice", "postgres://me:pw@h/db?sslmode=require&sslmode=disable"],
		["other options", "postgres://me:pw@h/db?options=-c%20search_path%3Devil"],
		["options behind an endpoint", "postgres://me:pw@h/db?options=endpoint%3Dx%20-c%20a%3Db"],
		["too much text", `postgres://me:pw@h/${"d".repeat(2048)}`],
	])("is refused with %s, and the sentence repeats nothing of it", (_what, url) => {
		const complaint = complaintAbout(url);
		expect(complaint).toMatch(/^`database_url` /);
		expect(complaint).not.toContain("pw");
	});
});
