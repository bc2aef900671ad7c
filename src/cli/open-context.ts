import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { type Config, readConfig } from "../config.ts";
import { type Context, createContext } from "../context.ts";
import { notFound } from "../core/errors.ts";
import { isId } from "../core/ids.ts";
import type { Log } from "../core/log.ts";
import { createEngine } from "../deliveries/engine/engine.ts";
import { findKeys, type Postgres, sharePostgres } from "../ground.ts";
import type { Owner } from "../http/access.ts";
import { createLocators } from "../locators.ts";
import { closeOutside, openOutside, requireDatabase, StartRefused } from "../outside.ts";
import { createLog } from "../platform/log.ts";
import { isMigratedAt } from "../platform/migrate.ts";
import { buildWorkers } from "../workers.ts";
import type { Surroundings } from "./command.ts";

const stopMs = 10_000;

/**
 * Runs `work` on the server's database, as a replica that neither listens nor runs tasks. What it enqueues and wakes
 * is for the servers. Throws a ConfigError or a StartRefused where a server would not start either.
 */
export async function withContext<Result>(
	{ env }: Pick<Surroundings, "env">,
	work: (ctx: Context) => Promise<Result>,
): Promise<Result> {
	// Nothing scrapes a command.
	const config: Config = {
		...readConfig({ ...env, OTEL_SDK_DISABLED: "true" }),
		role: "api",
		metricsToken: null,
	};
	const log = createCliLog();
	const postgres = await sharePostgres(config, log);
	try {
		await requireDatabase(postgres.databaseUrl, config);
		if (!(await isMigratedAt(postgres.databaseUrl))) {
			throw new StartRefused(
				"The database is not at this version's schema: run `npm run cli -- migrate` first.",
			);
		}
		return await runOn(config, log, postgres, work);
	} finally {
		await postgres.stop();
	}
}

async function runOn<Result>(
	config: Config,
	log: Log,
	postgres: Postgres,
	work: (ctx: Context) => Promise<Result>,
): Promise<Result> {
	const replica = `cli-${hostname()}-${process.pid}-${randomBytes(2).toString("hex")}`;
	const outside = await openOutside({ config, log, replica, ...postgres, keys: await findKeys(config) });
	const engine = createEngine({ ...outside, config, log, runs: false });
	const publicUrl = () => config.publicUrl ?? "";
	const ctx = createContext({ ...outside, config, log, replica, publicUrl, wakeDeliveries: engine.wake });
	try {
		await outside.queue.start(buildWorkers(ctx, engine));
		return await work(ctx);
	} finally {
		await engine.stop(stopMs);
		await outside.queue.stop(stopMs);
		await closeOutside(outside);
	}
}

/** What a command logs stands beside its results, on standard error. */
export function createCliLog(): Log {
	return createLog({ level: "warn", replica: "cli", to: "stderr" });
}

/** The owner of what an id names. Throws the 404 that a route would answer. `name` is a parameter of our paths. */
export async function locate(
	ctx: Pick<Context, "stores" | "providers">,
	name: "orgID" | "projectID" | "keyID" | "endpointID",
	id: string,
): Promise<Owner> {
	const locator = createLocators(ctx)[name];
	const owner = locator && isId(locator.prefix, id) ? await locator.find(id, {}) : null;
	if (!owner) throw notFound(locator?.noun ?? "thing");
	return owner;
}
