import { describe, expect, it } from "vitest";
import { ConfigError, readConfig } from "../src/config.ts";
import { type Case, cases, key } from "./config-cases.ts";

type Env = Record<string, string | undefined>;

const names = Object.keys(cases);

/** The sentences of a refusal, one a fault. */
function faultsOf(env: Env): string[] {
	try {
		readConfig(env);
	} catch (error) {
		expect(error).toBeInstanceOf(ConfigError);
		return (error as Error).message.split("\n");
	}
	return [];
}

describe("the configuration", () => {
	it("is read from exactly the variables that are tested here", () => {
		const asked = new Set<string>();
		const env = new Proxy<Env>({}, { get: (_, name) => void asked.add(String(name)) });
		readConfig(env);
		expect([...asked].sort()).toEqual([...names].sort());
	});

	it.each(names)("%s has its default when it is not set, and an empty text counts as not set", (name) => {
		const { read, fallback } = cases[name] as Case;
		expect(read(readConfig({}))).toEqual(fallback);
		expect(read(readConfig({ [name]: "" }))).toEqual(fallback);
		expect(readConfig({ [name]: "" })).toEqual(readConfig({}));
	});

	it.each(names)("%s is taken as it is meant", (name) => {
		const { read, good } = cases[name] as Case;
		for (const [text, value] of good)
			expect([text, read(readConfig({ [name]: text }))]).toEqual([text, value]);
	});

	it.each(names.filter((name) => cases[name]?.bad.length))(
		"a bad %s is named in one sentence, without its value",
		(name) => {
			for (const text of cases[name]?.bad ?? []) {
				const faults = faultsOf({ [name]: text });
				expect([text, faults]).toEqual([text, [expect.stringMatching(new RegExp(`^${name} must .*\\.$`))]]);
				if (text.length > 12) expect(faults[0]).not.toContain(text);
			}
		},
	);

	it("is refused with all its faults at once", () => {
		const wrong = names.filter((name) => cases[name]?.bad.length);
		const faults = faultsOf(Object.fromEntries(wrong.map((name) => [name, cases[name]?.bad[0]])));
		expect(faults.map((fault) => fault.split(" ")[0]).sort()).toEqual(wrong.sort());
	});

	it("cannot be changed, and ignores variables of others", () => {
		const config = readConfig({ HOME: "/root", NO_SUCH: "x" });
		expect(Object.isFrozen(config)).toBe(true);
		expect(config).toEqual(readConfig({}));
	});
});

describe("with NODE_ENV=production", () => {
	const good = {
		NODE_ENV: "production",
		ENCRYPTION_KEYS: `a:${key}`,
		PROJECT_CLUSTER_URL: "postgres://u@db/x",
	};

	it("nothing is bootstrapped unless it is asked for", () => {
		expect(readConfig(good).bootstrap).toBe(false);
		expect(readConfig({ ...good, BOOTSTRAP: "" }).bootstrap).toBe(false);
		expect(readConfig({ ...good, BOOTSTRAP: "true" }).bootstrap).toBe(true);
	});

	it.each([
		["ENCRYPTION_KEYS", undefined],
		["ENCRYPTION_KEYS", ""],
		["PROJECT_CLUSTER_URL", undefined],
		["PROJECT_CLUSTER_URL", ""],
		["WEBHOOK_ALLOW_PRIVATE_NETWORKS", "true"],
	])("%s may not be %j", (name, value) => {
		expect(faultsOf({ ...good, [name]: value })).toEqual([
			expect.stringMatching(new RegExp(`^${name} .*NODE_ENV=production.*\\.$`)),
		]);
	});

	it("a list of networks is allowed, and these faults come with all others", () => {
		expect(
			readConfig({ ...good, WEBHOOK_ALLOW_PRIVATE_NETWORKS: "10.0.0.0/8" }).webhookAllowedNetworks,
		).toEqual(["10.0.0.0/8"]);
		const faults = faultsOf({ NODE_ENV: "production", PORT: "x" });
		expect(faults.map((fault) => fault.split(" ")[0]).sort()).toEqual([
			"ENCRYPTION_KEYS",
			"PORT",
			"PROJECT_CLUSTER_URL",
		]);
	});
});

describe("with a collector for traces", () => {
	const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };

	it.each(["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])(
		"%s may only be the exporter's own",
		(name) => {
			expect(faultsOf({ ...traced, [name]: "http/protobuf" })).toEqual([]);
			for (const protocol of ["grpc", "http/json"]) {
				const faults = faultsOf({ ...traced, [name]: protocol });
				expect(faults).toEqual([expect.stringMatching(new RegExp(`^${name} must be http/protobuf.*\\.$`))]);
			}
		},
	);

	it("the protocol of traces goes before the one of all signals, and neither counts while tracing is off", () => {
		const grpc = { ...traced, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
		expect(faultsOf({ ...grpc, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/protobuf" })).toEqual([]);
		expect(faultsOf({ ...grpc, OTEL_SDK_DISABLED: "true" })).toEqual([]);
		expect(faultsOf({ ...grpc, OTEL_TRACES_EXPORTER: "none" })).toEqual([]);
	});
});
