import { randomBytes } from "node:crypto";
import type { Config } from "./config.ts";
import { AppError } from "./core/errors.ts";
import type { Log } from "./core/log.ts";
import { StartRefused } from "./outside.ts";
import { openDataDir, readKeptFile, readOrCreateFile } from "./platform/data-dir.ts";
import { ensureDatabaseAt } from "./platform/db.ts";
import { findEmbeddedPostgres, startEmbeddedPostgres } from "./platform/embedded-postgres.ts";
import { type EncryptionKey, generatedKeyId } from "./platform/vault.ts";

export type Postgres = { databaseUrl: string; clusterUrl: string; stop(): Promise<void> };

const controlDatabase = "capydb";
const keyFile = "encryption-key";

/** The Postgres that `DATABASE_URL` names, or the embedded one in `DATA_DIR`, which no other process may have. */
export async function openPostgres(config: Config, log: Log): Promise<Postgres> {
	if (config.databaseUrl !== null) {
		const { databaseUrl } = config;
		return { databaseUrl, clusterUrl: config.projectCluster.url ?? databaseUrl, stop: async () => undefined };
	}
	const embedded = await startEmbeddedPostgres({ dataDir: config.dataDir, log });
	await ensureDatabaseAt(embedded.url, controlDatabase);
	return { ...urlsOn(embedded.url, config), stop: embedded.stop };
}

/**
 * The same for a command: where a server has the embedded Postgres, the command goes to it beside the server. Throws
 * a StartRefused where there is none yet: a command makes no database.
 */
export async function sharePostgres(config: Config, log: Log): Promise<Postgres> {
	if (config.databaseUrl !== null) return openPostgres(config, log);
	const url = await findEmbeddedPostgres(config.dataDir);
	if (url === null) {
		throw new StartRefused(
			"There is no database: set DATABASE_URL or DATA_DIR as the server has them, or start the server once.",
		);
	}
	try {
		return await openPostgres(config, log);
	} catch (error) {
		if (!(error instanceof AppError && error.code === "data_dir.locked")) throw error;
		return { ...urlsOn(url, config), stop: async () => undefined };
	}
}

function urlsOn(embeddedUrl: string, config: Config): Pick<Postgres, "databaseUrl" | "clusterUrl"> {
	const databaseUrl = new URL(embeddedUrl);
	databaseUrl.pathname = `/${controlDatabase}`;
	return { databaseUrl: databaseUrl.href, clusterUrl: config.projectCluster.url ?? embeddedUrl };
}

/** `ENCRYPTION_KEYS`, or one that is made once and kept in `DATA_DIR`. */
export async function readKeys(config: Config): Promise<EncryptionKey[]> {
	if (config.encryptionKeys !== null) return givenKeys(config.encryptionKeys);
	const dataDir = await openDataDir(config.dataDir);
	return localKey(await readOrCreateFile(dataDir, keyFile, () => randomBytes(32).toString("base64")));
}

/** The same without making one: what a command sealed with a key of its own, no server could open. */
export async function findKeys(config: Config): Promise<EncryptionKey[]> {
	if (config.encryptionKeys !== null) return givenKeys(config.encryptionKeys);
	const base64 = await readKeptFile(await openDataDir(config.dataDir), keyFile);
	if (base64 !== undefined) return localKey(base64);
	throw new StartRefused(
		"There is no encryption key: set ENCRYPTION_KEYS or DATA_DIR as the server has them, or start the server once.",
	);
}

function givenKeys(texts: NonNullable<Config["encryptionKeys"]>): EncryptionKey[] {
	return texts.map(({ id, base64 }) => ({ id, key: Buffer.from(base64, "base64") }));
}

function localKey(base64: string): EncryptionKey[] {
	return [{ id: generatedKeyId, key: Buffer.from(base64, "base64") }];
}
