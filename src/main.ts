import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { AppError } from "./core/errors.ts";
import type { Log } from "./core/log.ts";
import { openPostgres, readKeys } from "./ground.ts";
import { StartRefused } from "./outside.ts";
import { createLog } from "./platform/log.ts";
import { bootstrap } from "./projects/bootstrap.ts";
import { type RunningServer, startServer } from "./server.ts";

/** Longer than what is in flight is given to end; shorter than the 30 s after which it would be killed. */
const stopMaxMs = 25_000;
/** What a start may still take when it is to stop: what it waits for by then, as a lock, ends with the process. */
const startMaxMs = 10_000;

await run();

async function run(): Promise<void> {
	const signalled = signalOnce();
	try {
		const config = readConfig(process.env);
		const replica = `${hostname()}-${process.pid}-${randomBytes(2).toString("hex")}`;
		const log = createLog({ level: config.logLevel, replica });
		const postgres = await openPostgres(config, log);
		let server: RunningServer | undefined;
		let isStoppedWell = true;
		try {
			const starting = startServer({ config, log, replica, ...postgres, keys: await readKeys(config) });
			server = await Promise.race([starting, signalled.then(startMaxPassed)]);
			if (server) {
				await welcome(server, config);
				log.info({ url: server.url, role: config.role }, "the server is ready");
			}
			const signal = await signalled;
			log.info({ signal }, "stopping");
		} finally {
			await Promise.race([server?.stop(), tooLong(log)]).catch((error: unknown) => {
				isStoppedWell = false;
				log.error({ err: error }, "stopping went wrong");
			});
			await postgres.stop();
		}
		log.info({}, "stopped");
		process.exit(isStoppedWell ? 0 : 1);
	} catch (error) {
		if (!isForOperator(error)) throw error;
		process.stderr.write(`The server cannot start.\n${error.message}\n`);
		process.exit(1);
	}
}

function startMaxPassed(): Promise<undefined> {
	return delay(startMaxMs, undefined, { ref: false });
}

/**
 * Resolves after that time: whatever a dead network holds up, the process ends by itself before it is killed. What was
 * under way ends with its leases, as planned: no failure of the process.
 */
function tooLong(log: Log): Promise<void> {
	return new Promise((resolve) => {
		const giveUp = () => {
			log.error({}, `not all has come to its end in ${stopMaxMs} ms`);
			resolve();
		};
		setTimeout(giveUp, stopMaxMs).unref();
	});
}

/** Resolves with the first signal to stop; a second one changes nothing. */
function signalOnce(): Promise<string> {
	return new Promise((resolve) => {
		process.on("SIGTERM", resolve);
		process.on("SIGINT", resolve);
	});
}

function isForOperator(error: unknown): error is Error {
	return error instanceof ConfigError || error instanceof StartRefused || error instanceof AppError;
}

/** On an empty database: makes the first organization, project and key, and shows the key this once. */
async function welcome(server: RunningServer, config: Config): Promise<void> {
	if (!config.bootstrap || config.role === "worker") return;
	const made = await bootstrap(server.ctx);
	if (!made) return;
	const url = server.ctx.publicUrl();
	process.stdout.write(`
Welcome to CapyDB Integrations & Webhooks.
The organization "default" has a project with a database of its own, and this API key, shown only now:

  ${made.key}

Try it:

  curl -H 'Authorization: Bearer ${made.key}' ${url}/v1/me

The reference is at ${url}/docs

`);
}
