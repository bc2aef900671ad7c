import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { describe, expect, it } from "vitest";
import { signedMessage, verifyStandardWebhook } from "../../src/providers/signatures.ts";

const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const otherSecret = `whsec_${Buffer.alloc(32, 8).toString("base64")}`;
const body = '{ "type": "user.created", "data": {"id": "user_1", "name": "Zoë"} }';
const now = new Date("2026-03-01T12:00:00.400Z");

describe.each([
	["svix", "svix", SvixWebhook],
	["standardwebhooks", "webhook", StandardWebhook],
])("a webhook signed by the %s library", (_, family, Signer) => {
	const at = (seconds: number) => new Date(Math.floor(now.getTime() / 1000) * 1000 + seconds * 1000);
	const signed = (moment: Date, key = secret) => new Signer(key).sign("msg_1", moment, body);
	const headers = (moment: Date, signature: string) => ({
		[`${family}-id`]: "msg_1",
		[`${family}-timestamp`]: String(moment.getTime() / 1000),
		[`${family}-signature`]: signature,
	});
	const verdict = (given: Record<string, string>, secrets = [secret], rawBody = Buffer.from(body)) =>
		verifyStandardWebhook({ rawBody, headers: given, secrets, now });

	it("is genuine", () => {
		expect(verdict(headers(at(0), signed(at(0))))).toBe("genuine");
	});

	it.each([
		[-301, "stale"],
		[-299, "genuine"],
		[-300, "genuine"],
		[299, "genuine"],
		[300, "genuine"],
		[301, "stale"],
		[-360, "stale"],
	])("signed %i s from now is %s", (seconds, expected) => {
		expect(verdict(headers(at(seconds), signed(at(seconds))))).toBe(expected);
	});

	it("is judged by the clock that is passed in, not by that of the process", () => {
		const then = new Date("2031-07-01T00:00:00Z");
		const input = { rawBody: Buffer.from(body), headers: headers(then, signed(then)), secrets: [secret] };
		expect(verifyStandardWebhook({ ...input, now: then })).toBe("genuine");
		expect(verifyStandardWebhook({ ...input, now })).toBe("stale");
	});

	it("is refused under another secret, also when it is old", () => {
		expect(verdict(headers(at(0), signed(at(0), otherSecret)))).toBe("bad_signature");
		expect(verdict(headers(at(-400), signed(at(-400), otherSecret)))).toBe("bad_signature");
	});

	it("passes when one of several signatures matches, whatever their versions", () => {
		const list = `v1a,AAAA v1,bm9uc2Vuc2U= ${signed(at(0))}`;
		expect(verdict(headers(at(0), list))).toBe("genuine");
		expect(verdict(headers(at(0), signed(at(0)).replace("v1,", "v2,")))).toBe("bad_signature");
	});

	it("passes under a rotated secret while both are live", () => {
		expect(verdict(headers(at(0), signed(at(0), otherSecret)), [secret, otherSecret])).toBe("genuine");
		expect(verdict(headers(at(0), signed(at(0), secret)), [secret, otherSecret])).toBe("genuine");
	});

	it("fails when the body was serialised again", () => {
		const again = Buffer.from(JSON.stringify(JSON.parse(body)));
		expect(verdict(headers(at(0), signed(at(0))), [secret], again)).toBe("bad_signature");
	});

	it("fails when its id or time was changed", () => {
		const good = headers(at(0), signed(at(0)));
		expect(verdict({ ...good, [`${family}-id`]: "msg_2" })).toBe("bad_signature");
		expect(verdict({ ...good, [`${family}-timestamp`]: String(at(1).getTime() / 1000) })).toBe(
			"bad_signature",
		);
		expect(verdict({ ...good, [`${family}-timestamp`]: `${at(0).getTime() / 1000}x` })).toBe("bad_signature");
	});

	it.each(["id", "timestamp", "signature"])("counts as unsigned without its %s", (name) => {
		const { [`${family}-${name}`]: _, ...rest } = headers(at(0), signed(at(0)));
		expect(verdict(rest)).toBe("missing_signature");
		expect(verdict({ ...rest, [`${family}-${name}`]: "" })).toBe("missing_signature");
	});
});

describe("a webhook signature", () => {
	const timestamp = String(Math.floor(now.getTime() / 1000));
	const headers = (signature: string) => ({
		"webhook-id": "msg_1",
		"webhook-timestamp": timestamp,
		"webhook-signature": signature,
	});

	it("reproduces the reference vector of the specification", () => {
		const verdict = verifyStandardWebhook({
			rawBody: Buffer.from('{"test": 2432232314}'),
			headers: {
				"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
				"webhook-timestamp": "1614265330",
				"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			},
			secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
			now: new Date(1614265330_000),
		});
		expect(verdict).toBe("genuine");
	});

	it("is taken over the raw bytes, so that two unreadable bodies are not one", () => {
		const signature = new SvixWebhook(secret).sign("msg_1", now, Buffer.from([0xff]).toString());
		const input = { headers: headers(signature), secrets: [secret], now };
		expect(verifyStandardWebhook({ ...input, rawBody: Buffer.from([0xff]) })).toBe("bad_signature");
		expect(verifyStandardWebhook({ ...input, rawBody: Buffer.from("\ufffd") })).toBe("genuine");
	});

	it.each([
		["no secret", []],
		["an empty secret", ["", "whsec_"]],
		["a secret that is not base64", ["whsec_%%%%"]],
	])("never passes with %s", (_, secrets) => {
		const rawBody = Buffer.from(body);
		expect(verifyStandardWebhook({ rawBody, headers: headers("v1,"), secrets, now })).toBe("bad_signature");
		expect(verifyStandardWebhook({ rawBody, headers: headers("v1"), secrets, now })).toBe("bad_signature");
	});

	it("gives its id from the headers that it covers, so that an added id cannot make a retry look new", () => {
		const given = { ...headers("v1,x"), "svix-id": "msg_forged" };
		expect(signedMessage(given)?.id).toBe("msg_1");
	});
});
