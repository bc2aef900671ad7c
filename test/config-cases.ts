import { generateKeyPairSync } from "node:crypto";
import type { readConfig } from "../src/config.ts";
import { badWebUrls, tracingCases } from "./tracing/config-cases.ts";

type Config = ReturnType<typeof readConfig>;

export type Case = {
	/** Where the value is found. */
	read: (config: Config) => unknown;
	fallback: unknown;
	good: [text: string, value: unknown][];
	bad: string[];
};

export const key = Buffer.alloc(32, 1).toString("base64");
const publicKey = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }).toString();
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
	bad: badWebUrls,
};
const cidrs = {
	good: [
		["10.0.0.0/8", ["10.0.0.0/8"]],
		["10.0.0.0/8, fd00::/8", ["10.0.0.0/8", "fd00::/8"]],
	] as [string, unknown][],
	bad: ["10.0.0.1", "10.0.0.0/33", "::/129", "10.0.0.0/8,", "private", "10.0.0.0/8/8", "300.0.0.0/8"],
};

const freeText = { fallback: null, good: [["oac_x/+=", "oac_x/+="]] as [string, unknown][], bad: [] };

/** Every variable that the server reads. */
export const cases: Record<string, Case> = {
	DATABASE_URL: { read: (config) => config.databaseUrl, fallback: null, ...postgres },
	DATA_DIR: { read: (config) => config.dataDir, fallback: ".data", good: [["/srv/x", "/srv/x"]], bad: [] },
	PORT: { read: (config) => config.port, fallback: 3000, ...port },
	HOST: { read: (config) => config.host, fallback: "127.0.0.1", good: [["0.0.0.0", "0.0.0.0"]], bad: [] },
	PUBLIC_URL: { read: (config) => config.publicUrl, fallback: null, ...webUrl },
	DASHBOARD_URL: { read: (config) => config.dashboardUrl, fallback: null, ...webUrl },
	CORS_ORIGINS: {
		read: (config) => config.corsOrigins,
		fallback: [],
		good: [["https://a.test, http://b.test:3000", ["https://a.test", "http://b.test:3000"]]],
		bad: ["a.test", "https://a.test/path", "https://a.test,", "*"],
	},
	METRICS_TOKEN: {
		read: (config) => config.metricsToken,
		fallback: null,
		good: [["0123456789abcdef", "0123456789abcdef"]],
		bad: ["0123456789abcde"],
	},
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
	DB_BACKEND: {
		read: (config) => config.dbBackend,
		fallback: "postgres",
		good: [
			["postgres", "postgres"],
			["citus", "citus"],
		],
		bad: ["Citus", "mysql", "pg"],
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
	RETENTION_DAYS: {
		read: (config) => config.retentionDays,
		fallback: 90,
		good: [["1", 1]],
		bad: ["0", "3651", "90d"],
	},
	PREVIEWS_MAX: { read: (config) => config.previewsMax, fallback: 20, ...count(10_000) },
	PG_DUMP: {
		read: (config) => config.postgresTools.pgDump,
		fallback: null,
		good: [["/usr/bin/pg_dump", "/usr/bin/pg_dump"]],
		bad: ["pg_dump", "./pg_dump"],
	},
	PATH: {
		read: (config) => config.postgresTools.searchPath,
		fallback: "/usr/local/bin:/usr/bin:/bin",
		good: [["/bin", "/bin"]],
		bad: [],
	},
	CLERK_SECRET_KEY: {
		read: (config) => config.clerk.secretKey,
		fallback: null,
		good: [["sk_test_x", "sk_test_x"]],
		bad: [],
	},
	CLERK_JWT_KEY: {
		read: (config) => config.clerk.jwtKey,
		fallback: null,
		good: [
			[publicKey, publicKey],
			[publicKey.replaceAll("\n", "\\n"), publicKey],
		],
		bad: ["not a key", "-----BEGIN PUBLIC KEY-----"],
	},
	CLERK_AUTHORIZED_PARTIES: {
		read: (config) => config.clerk.authorizedParties,
		fallback: [],
		good: [["https://a.test, http://b.test:3000", ["https://a.test", "http://b.test:3000"]]],
		bad: ["a.test", "https://a.test/path", "https://a.test,", "*"],
	},
	CLERK_AUTO_PROVISION: {
		read: (config) => config.clerk.autoProvision,
		fallback: false,
		good: [["true", true]],
		bad: ["yes"],
	},
	VERCEL_CLIENT_ID: { read: (config) => config.vercelOAuth.clientId, ...freeText },
	VERCEL_CLIENT_SECRET: { read: (config) => config.vercelOAuth.clientSecret, ...freeText },
	VERCEL_INTEGRATION_SLUG: {
		read: (config) => config.vercelOAuth.slug,
		fallback: null,
		good: [["capydb", "capydb"]],
		bad: ["a/b", "https://vercel.com/integrations/capydb", "a b", "capydb?x=1"],
	},
	NETLIFY_CLIENT_ID: { read: (config) => config.netlifyOAuth.clientId, ...freeText },
	NETLIFY_CLIENT_SECRET: { read: (config) => config.netlifyOAuth.clientSecret, ...freeText },
	VERCEL_API_URL: {
		read: (config) => config.vercelApiUrl,
		fallback: "https://api.vercel.com",
		good: [["http://127.0.0.1:4000", "http://127.0.0.1:4000"]],
		bad: [...webUrl.bad, "https://vercel.test/v1"],
	},
	NETLIFY_API_URL: {
		read: (config) => config.netlifyApiUrl,
		fallback: "https://api.netlify.com",
		good: [["http://127.0.0.1:4000", "http://127.0.0.1:4000"]],
		bad: [...webUrl.bad, "https://netlify.test/v1"],
	},
	CLERK_API_URL: {
		read: (config) => config.clerkApiUrl,
		fallback: "https://api.clerk.com",
		good: [
			["http://127.0.0.1:4000", "http://127.0.0.1:4000"],
			["https://clerk.test/", "https://clerk.test"],
		],
		bad: [...webUrl.bad, "https://clerk.test/v1"],
	},
	AUTH0_API_URL: {
		read: (config) => config.auth0ApiUrl,
		fallback: null,
		good: [["http://127.0.0.1:4000/", "http://127.0.0.1:4000"]],
		bad: [...webUrl.bad, "https://acme.eu.auth0.com/api/v2"],
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
	...tracingCases,
};
