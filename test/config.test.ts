import { describe, expect, it } from "vitest";
import { ConfigError, readConfig } from "../src/config.ts";

type Env = Record<string, string | undefined>;
type Config = ReturnType<typeof readConfig>;

type Case = {
	/** Where the value is found. */
	read: (config: Config) => unknown;
	fallback: unknown;
	good: [text: string, value: unknown][];
	bad: string[];
};

const key = Buffer.alloc(32, 1).toString("base64");
const second = Buffer.alloc(32, 2).toString("base64");
const port = {
	good: [
		["1", 1],
		["65535", 65_535],
	] as [string, unknown][],
	bad: ["-1", "65536", "80.5", "http", " 80", "0x50", "1e3"],
};
const postgres = {
	good: [
		["postgres://u:p@db:5432/x", "postgres://u:p@db:5432/x"],
		["postgresql://db/x?sslmode=require", "postgresql://db/x?sslmode=require"],
	] as [string, unknown][],
	bad: ["mysql://db/x", "db.example.com", "postgres", "/var/run/postgresql"],
};
const publicHost = {
	good: [
		["db.example.com", "db.example.com"],
		["::1", "::1"],
	] as [string, unknown][],
	bad: ["a b", "db/x", "http://db", "é"],
};
const count = (max: number) => ({
	good: [
		["7", 7],
		[String(max), max],
	] as [string, unknown][],
	bad: ["-1", "1.5", "many", String(max + 1), "1e2"],
});
const webUrl = {
	good: [
		["https://api.example.com", "https://api.example.com"],
		["http://127.0.0.1:3000/prefix/", "http://127.0.0.1:3000/prefix"],
	] as [string, unknown][],
	bad: ["bare.host.test", "ftp://x", "https://x/?a=b", "https://x/#a", "https://me@x", "https://:secret@x"],
};
const cidrs = {
	good: [
		["10.0.0.0/8", ["10.0.0.0/8"]],
		["10.0.0.0/8, fd00::/8", ["10.0.0.0/8", "fd00::/8"]],
	] as [string, unknown][],
	bad: ["10.0.0.1", "10.0.0.0/33", "::/129", "10.0.0.0/8,", "private", "10.0.0.0/8/8", "300.0.0.0/8"],
};

const cases: Record<string, Case> = {
	DATABASE_URL: { read: (config) => config.databaseUrl, fallback: null, ...postgres },
	DATA_DIR: { read: (config) => config.dataDir, fallback: ".data", good: [["/srv/x", "/srv/x"]], bad: [] },
	PORT: { read: (config) => config.port, fallback: 3000, ...port },
	HOST: { read: (config) => config.host, fallback: "127.0.0.1", good: [["0.0.0.0", "0.0.0.0"]], bad: [] },
	PUBLIC_URL: { read: (config) => config.publicUrl, fallback: null, ...webUrl },
	DASHBOARD_URL: { read: (config) => config.dashboardUrl, fallback: null, ...webUrl },
	TRUST_PROXY: {
		read: (config) => config.trustProxy,
		fallback: false,
		good: [
			["true", true],
			["false", false],
			["2", 2],
			["10.0.0.1, 192.168.0.0/16", "10.0.0.1,192.168.0.0/16"],
		],
		bad: ["yes", "-1", "100", "proxy.example.com", "10.0.0.0/99"],
	},
	ENCRYPTION_KEYS: {
		read: (config) => config.encryptionKeys,
		fallback: null,
		good: [
			[`a:${key}`, [{ id: "a", base64: key }]],
			[
				`b-2:${second},a_1:${key}`,
				[
					{ id: "b-2", base64: second },
					{ id: "a_1", base64: key },
				],
			],
		],
		bad: [key, `:${key}`, "a:short", `a:${key},a:${second}`, `a:${key},`, `a b:${key}`, `a:${key}${key}`],
	},
	ADMIN_TOKEN: {
		read: (config) => config.adminToken,
		fallback: null,
		good: [["0123456789abcdef", "0123456789abcdef"]],
		bad: ["0123456789abcde"],
	},
	BOOTSTRAP: {
		read: (config) => config.bootstrap,
		fallback: true,
		good: [
			["true", true],
			["false", false],
			["0", false],
		],
		bad: ["yes", "TRUE", "2"],
	},
	ROLE: {
		read: (config) => config.role,
		fallback: "all",
		good: [
			["api", "api"],
			["worker", "worker"],
			["all", "all"],
		],
		bad: ["boss", "API", "api,worker"],
	},
	NODE_ENV: { read: (config) => config.bootstrap, fallback: true, good: [["development", true]], bad: [] },
	PROJECT_CLUSTER_URL: { read: (config) => config.projectCluster.url, fallback: null, ...postgres },
	PROJECT_PUBLIC_HOST: { read: (config) => config.projectCluster.publicHost, fallback: null, ...publicHost },
	PROJECT_DIRECT_PORT: { read: (config) => config.projectCluster.directPort, fallback: null, ...port },
	PROJECT_POOLED_HOST: { read: (config) => config.projectCluster.pooledHost, fallback: null, ...publicHost },
	PROJECT_POOLED_PORT: { read: (config) => config.projectCluster.pooledPort, fallback: null, ...port },
	PROJECT_DB_ALLOW_PRIVATE_NETWORKS: {
		read: (config) => config.projectDbAllowedNetworks,
		fallback: [],
		good: cidrs.good,
		bad: [...cidrs.bad, "true"],
	},
	WEBHOOK_ALLOW_PRIVATE_NETWORKS: {
		read: (config) => config.webhookAllowedNetworks,
		fallback: [],
		good: [...cidrs.good, ["true", "any"]],
		bad: cidrs.bad,
	},
	RATE_LIMIT_PER_SECOND: { read: (config) => config.rateLimitPerSecond, fallback: 500, ...count(1_000_000) },
	CLERK_API_URL: {
		read: (config) => config.clerkApiUrl,
		fallback: "https://api.clerk.com",
		good: [
			["http://127.0.0.1:4000", "http://127.0.0.1:4000"],
			["https://clerk.test/", "https://clerk.test"],
		],
		bad: [...webUrl.bad, "https://clerk.test/v1"],
	},
	WEBHOOK_RETRY_SCHEDULE: {
		read: (config) => config.webhook.retryScheduleSeconds,
		fallback: [0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000],
		good: [
			["0", [0]],
			["0,0.5,10", [0, 0.5, 10]],
		],
		bad: ["soon", "0,", "-1", "0;5", "0, 5", Array(33).fill("1").join(",")],
	},
	WEBHOOK_TIMEOUT_MS: {
		read: (config) => config.webhook.timeoutMs,
		fallback: 15_000,
		good: [["100", 100]],
		bad: ["99", "60001", "15s"],
	},
	WEBHOOK_CONCURRENCY: { read: (config) => config.webhook.concurrency, fallback: 256, ...count(5_000) },
	WEBHOOK_ENDPOINT_CONCURRENCY: {
		read: (config) => config.webhook.endpointConcurrency,
		fallback: 20,
		...count(1_000),
	},
	LOG_LEVEL: {
		read: (config) => config.logLevel,
		fallback: "info",
		good: [
			["debug", "debug"],
			["silent", "silent"],
		],
		bad: ["loud", "INFO"],
	},
};

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
		expect(faults.map((fault) => fault.split(" ")[0])).toEqual(wrong);
	});

	it("cannot be changed, and ignores variables of others", () => {
		const config = readConfig({ PATH: "/bin", NO_SUCH: "x" });
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
