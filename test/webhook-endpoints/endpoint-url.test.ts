import { describe, expect, it } from "vitest";
import { AppError } from "../../src/core/errors.ts";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { checkEndpointUrl } from "../../src/webhook-endpoints/check-endpoint-url.ts";
import { checkCustomHeaders } from "../../src/webhook-endpoints/header-rules.ts";
import { FORBIDDEN_NAMES, FORBIDDEN_SPELLINGS } from "../fixtures/addresses.ts";

const strict = guardOf({ allow: [], answer: "93.184.215.14" });

describe("an endpoint's URL", () => {
	it.each([
		"https://example.com",
		"https://example.com/",
		"HTTPS://EXAMPLE.com/Hook?a=b&c=%2F#part",
		"https://example.com:443/hook",
		"https://example.com:80/hook",
		"https://example.com:1024/hook",
		"https://example.com:65535/hook",
		"https://example.com./hook",
		"https://bücher.example/hook",
		"https://example.com/a b",
		"https://example.com/@user",
		"https://8.8.8.8/hook",
		"https://[2606:4700:4700::1111]/hook",
		"https://[::ffff:8.8.8.8]/hook",
		`https://example.com/${"a".repeat(2028)}`,
	])("may be %s", async (url) => {
		await expect(checkEndpointUrl(url, strict)).resolves.toBeUndefined();
	});

	it.each([
		["", "complete URL"],
		["example.com/hook", "complete URL"],
		["//example.com/hook", "complete URL"],
		["https:example.com", "complete URL"],
		["https:///example.com", "complete URL"],
		["https://", "complete URL"],
		["https://exa mple.com", "complete URL"],
		["https://[fe80::1%25eth0]/", "complete URL"],
		["https://[::1/", "complete URL"],
		["https://1.2.3.256/", "complete URL"],
		["ftp://example.com/", "https://"],
		["javascript:alert(1)", "https://"],
		["http://example.com/hook", "https://"],
		["http://8.8.8.8/hook", "https://"],
		[" https://example.com", "white space"],
		["https://example.com\n", "white space"],
		["https://exa\tmple.com", "control"],
		["https://example.com/\u0000", "control"],
		["https://example.com/\u0085x", "control"],
		["https://example.com\\@evil.example/", "backslash"],
		["https://user@example.com/", "user name"],
		["https://user:pass@example.com/", "user name"],
		["https://@example.com/", "user name"],
		["https://:@example.com/", "user name"],
		["https://example.com:0/", "port"],
		["https://example.com:22/", "port"],
		["https://example.com:1023/", "port"],
		["https://example.com:65536/", "complete URL"],
		[`https://example.com/${"a".repeat(2029)}`, "2048"],
	])("may not be %j", async (url, sentence) => {
		const error = await refusal(checkEndpointUrl(url, strict));
		expect(error).toMatchObject({ kind: "invalid", code: "url.invalid" });
		expect(error.message).toMatch(/^url must /);
		expect(error.message).toContain(sentence);
	});
});

describe("the host of an endpoint's URL", () => {
	it.each([...FORBIDDEN_NAMES, ...FORBIDDEN_SPELLINGS])("of %s is not allowed", async (host, read) => {
		const guard = guardOf({ allow: [], answer: null });
		for (const url of [`https://${host}/`, `http://${host}:8443/latest`]) {
			const error = await refusal(checkEndpointUrl(url, guard));
			expect(error).toMatchObject({ kind: "invalid", code: "url.host_not_allowed" });
			expect(error.message).toBe(`host is not allowed: ${read}`);
		}
	});
});

describe("an endpoint's URL, beyond its text", () => {
	it("is refused when DNS answers with a forbidden address", async () => {
		const guard = guardOf({ allow: [], answer: "192.168.1.1" });
		const error = await refusal(checkEndpointUrl("https://inside.example/", guard));
		expect(error.message).toBe("host is not allowed: inside.example");
	});

	it("is accepted when DNS has no answer", async () => {
		await checkEndpointUrl("https://later.example/", guardOf({ allow: [], answer: null }));
	});

	it("may be http when the address is allowlisted, and only then", async () => {
		const guard = guardOf({ allow: ["10.0.0.0/8"], answer: "10.2.3.4" });
		await checkEndpointUrl("http://10.0.0.1:8080/", guard);
		await checkEndpointUrl("http://inside.example/", guard);
		await checkEndpointUrl("https://10.0.0.1/", guard);
		const unknown = guardOf({ allow: ["10.0.0.0/8"], answer: null });
		expect(await refusal(checkEndpointUrl("http://later.example/", unknown))).toMatchObject({
			code: "url.invalid",
		});
		expect(await refusal(checkEndpointUrl("http://192.168.0.1/", guard))).toMatchObject({
			code: "url.host_not_allowed",
		});
	});

	it("may be any address, http too, when the operator allows any; cloud metadata never", async () => {
		const guard = guardOf({ allow: "any", answer: null });
		for (const url of [
			"http://localhost:3000/",
			"http://127.0.0.1:8080/",
			"http://example.com/",
			"http://[::1]/",
		]) {
			await checkEndpointUrl(url, guard);
		}
		for (const host of ["169.254.169.254", "metadata.google.internal", "[::ffff:169.254.169.254]"]) {
			const error = await refusal(checkEndpointUrl(`http://${host}/`, guard));
			expect(error.code).toBe("url.host_not_allowed");
		}
	});
});

describe("an endpoint's headers", () => {
	it("may be twenty tokens with visible ASCII values of at most 1 KiB", () => {
		const headers = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`X-H${index}`, "v"]));
		const values = { Authorization: "Bearer abc def", "x-empty": "", "X-~!#$%&'*+.^_`|": "y".repeat(1024) };
		expect(() => checkCustomHeaders("headers", { ...headers, ...values })).not.toThrow();
	});

	it.each([
		...[
			"Host",
			"content-type",
			"Content-Length",
			"CONNECTION",
			"keep-alive",
			"Transfer-Encoding",
			"TE",
			"trailer",
		],
		...["upgrade", "Expect", "proxy-authorization", "accept-encoding", "Cookie", "User-Agent", "forwarded"],
		...["X-Forwarded-For", "traceparent", "webhook-id", "Webhook-Signature", "svix-id", "X-CapyDB-Signature"],
	])("may not be %s", (name) => {
		const error = thrown(() => checkCustomHeaders("headers", { [name]: "x" }));
		expect(error).toMatchObject({ kind: "invalid", code: "headers.invalid" });
		expect(error.message).toContain(`headers.${name} `);
	});

	it.each(["", "a b", "a:b", "ä", "a\r\nb", "(x)", "n".repeat(257)])("may not be named %j", (name) => {
		expect(thrown(() => checkCustomHeaders("headers", { [name]: "x" })).message).toMatch(/^headers\..*\.$/);
	});

	it.each(["a\r\nb", "a\u0000", "ä", "a\tb", " a", "a ", "x".repeat(1025)])(
		"may not have the value %j",
		(value) => {
			expect(thrown(() => checkCustomHeaders("secret_headers", { "X-Key": value })).message).toContain(
				"secret_headers.X-Key ",
			);
		},
	);

	it("may not be more than twenty, or twice the same, in both fields together", () => {
		const many = (count: number) =>
			Object.fromEntries(Array.from({ length: count }, (_, index) => [`X-H${index}`, "v"]));
		expect(thrown(() => checkCustomHeaders("headers", many(21))).message).toContain("20");
		expect(thrown(() => checkCustomHeaders("headers", many(20), { "X-Other": "v" })).message).toContain("20");
		expect(thrown(() => checkCustomHeaders("headers", { "X-A": "1", "x-a": "2" })).message).toContain("x-a");
		expect(thrown(() => checkCustomHeaders("headers", { "X-A": "1" }, { "x-A": "2" })).message).toContain(
			"X-A",
		);
	});
});

function guardOf({ allow, answer }: { allow: string[] | "any"; answer: string | null }) {
	const resolver = async () => {
		if (answer === null) throw new Error("no answer");
		return [{ address: answer, family: 4 as const }];
	};
	return createAddressGuard({ allow, resolver });
}

async function refusal(check: Promise<void>): Promise<AppError> {
	const error: unknown = await check.then(
		() => null,
		(reason: unknown) => reason,
	);
	if (error instanceof AppError) return error;
	throw new Error("it was not refused");
}

function thrown(check: () => void): AppError {
	try {
		check();
	} catch (error) {
		if (error instanceof AppError) return error;
	}
	throw new Error("it was not refused");
}
