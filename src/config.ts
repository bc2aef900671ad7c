import { createPublicKey } from "node:crypto";
import { isAbsolute } from "node:path";
import {
	cidrs,
	cidrsOrTrue,
	hostName,
	origin,
	origins,
	postgresUrl,
	trustProxy,
	webUrl,
} from "./config-addresses.ts";
import { ratio, samplers, tracing, tracingFaults } from "./config-tracing.ts";
import { schedulePattern } from "./deliveries/engine/retry-schedule.ts";

/** A variable of the environment: how its text becomes a value, and what holds when it is not set. */
type Variable<Value> = { read: (text: string) => Value; fallback: Value };

/** Thrown with every fault of the environment at once, one sentence a line. */
export class ConfigError extends Error {}

export type EncryptionKeyText = { id: string; base64: string };

const variables = {
	DATABASE_URL: optional(postgresUrl),
	DATA_DIR: { read: (text: string) => text, fallback: ".data" },
	PORT: { read: integer(0, 65_535), fallback: 3000 },
	HOST: { read: (text: string) => text, fallback: "127.0.0.1" },
	PUBLIC_URL: optional(webUrl),
	DASHBOARD_URL: optional(webUrl),
	CORS_ORIGINS: optional(origins),
	METRICS_TOKEN: optional(minLength(16)),
	TRUST_PROXY: { read: trustProxy, fallback: false as boolean | number | string },
	ENCRYPTION_KEYS: optional(encryptionKeys),
	ADMIN_TOKEN: optional(minLength(16)),
	BOOTSTRAP: optional(boolean),
	ROLE: { read: oneOf("all", "api", "worker"), fallback: "all" as const },
	DB_BACKEND: { read: oneOf("postgres", "citus"), fallback: "postgres" as const },
	NODE_ENV: optional((text: string) => text),
	PROJECT_CLUSTER_URL: optional(postgresUrl),
	PROJECT_PUBLIC_HOST: optional(hostName),
	PROJECT_DIRECT_PORT: optional(integer(1, 65_535)),
	PROJECT_POOLED_HOST: optional(hostName),
	PROJECT_POOLED_PORT: optional(integer(1, 65_535)),
	PROJECT_DB_ALLOW_PRIVATE_NETWORKS: { read: cidrs, fallback: [] as string[] },
	WEBHOOK_ALLOW_PRIVATE_NETWORKS: { read: cidrsOrTrue, fallback: [] as string[] | "any" },
	RETENTION_DAYS: { read: integer(1, 3_650), fallback: 90 },
	PREVIEWS_MAX: { read: integer(0, 10_000), fallback: 20 },
	PG_DUMP: optional(absolutePath),
	PATH: { read: (text: string) => text, fallback: "/usr/local/bin:/usr/bin:/bin" },
	RATE_LIMIT_PER_SECOND: { read: integer(1, 1_000_000), fallback: 500 },
	VERCEL_API_URL: { read: origin, fallback: "https://api.vercel.com" },
	NETLIFY_API_URL: { read: origin, fallback: "https://api.netlify.com" },
	VERCEL_CLIENT_ID: optional((text: string) => text),
	VERCEL_CLIENT_SECRET: optional((text: string) => text),
	VERCEL_INTEGRATION_SLUG: optional(slug),
	NETLIFY_CLIENT_ID: optional((text: string) => text),
	NETLIFY_CLIENT_SECRET: optional((text: string) => text),
	CLERK_API_URL: { read: origin, fallback: "https://api.clerk.com" },
	AUTH0_API_URL: optional(origin),
	CLERK_SECRET_KEY: optional((text: string) => text),
	CLERK_JWT_KEY: optional(publicKey),
	CLERK_AUTHORIZED_PARTIES: { read: origins, fallback: [] as string[] },
	CLERK_AUTO_PROVISION: { read: boolean, fallback: false },
	WEBHOOK_RETRY_SCHEDULE: { read: schedule, fallback: [0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000] },
	WEBHOOK_TIMEOUT_MS: { read: integer(100, 60_000), fallback: 15_000 },
	WEBHOOK_CONCURRENCY: { read: integer(1, 5_000), fallback: 256 },
	WEBHOOK_ENDPOINT_CONCURRENCY: { read: integer(1, 1_000), fallback: 20 },
	LOG_LEVEL: {
		read: oneOf("trace", "debug", "info", "warn", "error", "silent"),
		fallback: "info" as const,
	},
	OTEL_SDK_DISABLED: { read: boolean, fallback: false },
	OTEL_TRACES_EXPORTER: optional(oneOf("otlp", "none")),
	OTEL_EXPORTER_OTLP_ENDPOINT: optional(webUrl),
	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: optional(webUrl),
	OTEL_EXPORTER_OTLP_PROTOCOL: optional((text: string) => text),
	OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: optional((text: string) => text),
	OTEL_SERVICE_NAME: { read: (text: string) => text, fallback: "capydb-integrations" },
	OTEL_TRACES_SAMPLER: { read: oneOf(...samplers), fallback: "parentbased_always_on" as const },
	OTEL_TRACES_SAMPLER_ARG: { read: ratio, fallback: 1 },
	OTEL_BSP_SCHEDULE_DELAY: { read: integer(1, 600_000), fallback: 5_000 },
	OTEL_BSP_MAX_QUEUE_SIZE: { read: integer(1, 1_000_000), fallback: 2_048 },
} satisfies Record<string, Variable<unknown>>;

type Values = {
	[Name in keyof typeof variables]: ReturnType<(typeof variables)[Name]["read"]> | FallbackOf<Name>;
};
type FallbackOf<Name extends keyof typeof variables> = (typeof variables)[Name]["fallback"];

export type Config = ReturnType<typeof shape>;

/**
 * Reads the environment into one frozen object. An empty variable counts as unset. Throws a ConfigError that names
 * every variable which is wrong.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
	const faults: string[] = [];
	const entries = Object.entries<Variable<unknown>>(variables).map(([name, variable]) => {
		const text = env[name];
		if (text === undefined || text === "") return [name, variable.fallback];
		try {
			return [name, variable.read(text)];
		} catch (error) {
			faults.push(`${name} ${error instanceof Error ? error.message : "is not valid"}.`);
			return [name, variable.fallback];
		}
	});
	const values = Object.fromEntries(entries) as Values;
	faults.push(...productionFaults(values, env), ...tracingFaults(values));
	if (faults.length > 0) throw new ConfigError(faults.join("\n"));
	return Object.freeze(shape(values));
}

function productionFaults(values: Values, env: Record<string, string | undefined>): string[] {
	if (values.NODE_ENV !== "production") return [];
	const faults: string[] = [];
	if (!env.ENCRYPTION_KEYS) {
		faults.push("ENCRYPTION_KEYS must be set with NODE_ENV=production, as id:base64(32 bytes).");
	}
	if (!env.PROJECT_CLUSTER_URL) {
		faults.push("PROJECT_CLUSTER_URL must name the cluster for created databases with NODE_ENV=production.");
	}
	if (values.WEBHOOK_ALLOW_PRIVATE_NETWORKS === "any") {
		faults.push("WEBHOOK_ALLOW_PRIVATE_NETWORKS may not be `true` with NODE_ENV=production: list CIDRs.");
	}
	return faults;
}

function shape(values: Values) {
	return {
		databaseUrl: values.DATABASE_URL,
		dataDir: values.DATA_DIR,
		port: values.PORT,
		host: values.HOST,
		/** Without a trailing slash; null until the server listens and knows its own address. */
		publicUrl: values.PUBLIC_URL,
		dashboardUrl: values.DASHBOARD_URL,
		/** Of the pages that may call us from a browser. */
		corsOrigins: values.CORS_ORIGINS ?? originOf(values.DASHBOARD_URL),
		/** What a scrape of `/metrics` shows; null: there is no such route. */
		metricsToken: values.METRICS_TOKEN,
		trustProxy: values.TRUST_PROXY,
		encryptionKeys: values.ENCRYPTION_KEYS,
		adminToken: values.ADMIN_TOKEN,
		bootstrap: values.BOOTSTRAP ?? values.NODE_ENV !== "production",
		role: values.ROLE,
		/** Citus: the growing tables are distributed over its nodes, by organization. */
		dbBackend: values.DB_BACKEND,
		projectCluster: {
			url: values.PROJECT_CLUSTER_URL,
			publicHost: values.PROJECT_PUBLIC_HOST,
			directPort: values.PROJECT_DIRECT_PORT,
			pooledHost: values.PROJECT_POOLED_HOST,
			pooledPort: values.PROJECT_POOLED_PORT,
		},
		projectDbAllowedNetworks: values.PROJECT_DB_ALLOW_PRIVATE_NETWORKS,
		webhookAllowedNetworks: values.WEBHOOK_ALLOW_PRIVATE_NETWORKS,
		retentionDays: values.RETENTION_DAYS,
		/** Preview databases that one project may have at once. */
		previewsMax: values.PREVIEWS_MAX,
		/** Where pg_dump is; `pg_restore` is taken from the same folder, or both from the search path. */
		postgresTools: { pgDump: values.PG_DUMP, searchPath: values.PATH },
		rateLimitPerSecond: values.RATE_LIMIT_PER_SECOND,
		vercelApiUrl: values.VERCEL_API_URL,
		netlifyApiUrl: values.NETLIFY_API_URL,
		/** The server's own clients at the platforms; one of which a part is missing is not used. */
		vercelOAuth: {
			clientId: values.VERCEL_CLIENT_ID,
			clientSecret: values.VERCEL_CLIENT_SECRET,
			slug: values.VERCEL_INTEGRATION_SLUG,
		},
		netlifyOAuth: { clientId: values.NETLIFY_CLIENT_ID, clientSecret: values.NETLIFY_CLIENT_SECRET },
		clerkApiUrl: values.CLERK_API_URL,
		/** Called in place of every tenant's own domain; null: those are called. */
		auth0ApiUrl: values.AUTH0_API_URL,
		/** Sessions of people signed in to the dashboard. */
		clerk: {
			secretKey: values.CLERK_SECRET_KEY,
			jwtKey: values.CLERK_JWT_KEY,
			authorizedParties: values.CLERK_AUTHORIZED_PARTIES,
			autoProvision: values.CLERK_AUTO_PROVISION,
		},
		webhook: {
			retryScheduleSeconds: values.WEBHOOK_RETRY_SCHEDULE,
			timeoutMs: values.WEBHOOK_TIMEOUT_MS,
			concurrency: values.WEBHOOK_CONCURRENCY,
			endpointConcurrency: values.WEBHOOK_ENDPOINT_CONCURRENCY,
		},
		logLevel: values.LOG_LEVEL,
		tracing: tracing(values),
	};
}

function originOf(url: string | null): string[] {
	return url === null ? [] : [new URL(url).origin];
}

function optional<Value>(read: (text: string) => Value): Variable<Value | null> {
	return { read, fallback: null };
}

function integer(min: number, max: number) {
	return (text: string): number => {
		const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
		if (!(value >= min && value <= max)) throw new Error(`must be a whole number from ${min} to ${max}`);
		return value;
	};
}

function boolean(text: string): boolean {
	if (text === "true" || text === "1") return true;
	if (text === "false" || text === "0") return false;
	throw new Error("must be `true` or `false`");
}

function oneOf<const Option extends string>(...options: Option[]) {
	return (text: string): Option => {
		const found = options.find((option) => option === text);
		if (found === undefined) throw new Error(`must be one of ${options.join(", ")}`);
		return found;
	};
}

function minLength(length: number) {
	return (text: string): string => {
		if (text.length < length) throw new Error(`must have at least ${length} characters`);
		return text;
	};
}

function absolutePath(text: string): string {
	if (!isAbsolute(text))
		throw new Error("must be an absolute path, such as /usr/lib/postgresql/18/bin/pg_dump");
	return text;
}

function slug(text: string): string {
	if (!/^[A-Za-z0-9._-]{1,100}$/.test(text)) throw new Error("must be the last part of a URL's path");
	return text;
}

/** A PEM in one line, with `\\n` for its line ends, is what many dashboards store. */
function publicKey(text: string): string {
	const pem = text.replaceAll("\\n", "\n");
	try {
		createPublicKey(pem);
	} catch {
		throw new Error("must be the PEM public key of the Clerk instance");
	}
	return pem;
}

function encryptionKeys(text: string): EncryptionKeyText[] {
	const keys = text
		.split(",")
		.map((part) => /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/_-]{43}=?)$/.exec(part.trim()));
	const parsed = keys.map((match) => ({ id: match?.[1] ?? "", base64: match?.[2] ?? "" }));
	const ids = new Set(parsed.map((key) => key.id));
	const sound = parsed.every((key) => key.id !== "" && Buffer.from(key.base64, "base64").length === 32);
	if (!sound || ids.size !== parsed.length) {
		throw new Error("must be a comma-separated list of id:base64(32 bytes), each id once");
	}
	return parsed;
}

function schedule(text: string): number[] {
	if (!schedulePattern.test(text)) {
		throw new Error("must be 1 to 32 waits in seconds, comma-separated, such as 0,5,300");
	}
	return text.split(",").map(Number);
}
