import { isIP, Socket } from "node:net";
import type { Readable } from "node:stream";
import pg from "pg";
import { type AddressGuard, BlockedAddressError, UnresolvedNameError } from "./address-guard.ts";
import { createMessageCheck } from "./postgres-messages.ts";
import type { SslMode } from "./project-url.ts";

/** Where a project's database is and as whom to go there. */
export type ProjectDatabaseTarget = {
	host: string;
	port: number;
	user: string;
	password: string;
	database: string;
	sslMode: SslMode;
	/** `options=endpoint=…` of a bring-your-own URL; null otherwise. */
	options: string | null;
	/** True for hosts that a tenant named: every address is judged before connecting, and connected to as judged. */
	isTenantNamed: boolean;
};

/** A connection that the caller must `destroy`. */
export type ProjectConnection = {
	client: pg.Client;
	/** Bytes that the other side has sent; a hostile one may send without end. */
	bytesRead(): number;
	/** True once the other side or the network has ended it. */
	isBroken(): boolean;
	destroy(): void;
};

const connectTimeoutMs = 5_000;
/** Startup options win over what a role or a database has set for itself. */
const sessionSettings = [
	"search_path=pg_catalog",
	"statement_timeout=30000",
	"lock_timeout=5000",
	"idle_in_transaction_session_timeout=30000",
	"timezone=UTC",
	"datestyle=ISO",
];
const protocolViolation = "08P01";

/**
 * Opens one connection within 5 s an address. `sslmode` means what it means to libpq. Throws what the guard, the
 * network or the server threw.
 */
export async function connectToProject(
	target: ProjectDatabaseTarget,
	guard: Pick<AddressGuard, "resolve">,
): Promise<ProjectConnection> {
	const addresses = target.isTenantNamed ? await judgedAddresses(target.host, guard) : [target.host];
	let found: unknown = new UnresolvedNameError();
	// Two are enough to get past a family without a route; more would let a name make us wait for minutes.
	for (const address of addresses.slice(0, 2)) {
		try {
			return await connectTo(address, target);
		} catch (error) {
			if (error instanceof pg.DatabaseError) throw error;
			found = error;
		}
	}
	throw found;
}

/** The addresses that a tenant's host name stands for. Throws unless the guard allows all of them. */
export async function judgedAddresses(host: string, guard: Pick<AddressGuard, "resolve">): Promise<string[]> {
	const resolution = await guard.resolve(host, { timeoutMs: connectTimeoutMs });
	switch (resolution.kind) {
		case "addresses":
			return resolution.addresses.map(({ address }) => address);
		case "blocked":
			throw new BlockedAddressError();
		case "dns_error":
			throw new UnresolvedNameError();
	}
}

async function connectTo(address: string, target: ProjectDatabaseTarget): Promise<ProjectConnection> {
	const isEncrypted = target.sslMode !== "disable";
	try {
		return await connectAs(address, target, isEncrypted);
	} catch (error) {
		const isRefusedTls =
			error instanceof Error && error.message === "The server does not support SSL connections";
		if (target.sslMode !== "prefer" || !isRefusedTls) throw error;
		return connectAs(address, target, false);
	}
}

/** Poolers refuse startup options that they do not know; then we go without. */
async function connectAs(
	address: string,
	target: ProjectDatabaseTarget,
	isEncrypted: boolean,
): Promise<ProjectConnection> {
	const settings = sessionSettings.map((setting) => `-c ${setting}`).join(" ");
	const full = target.options === null ? settings : `${target.options} ${settings}`;
	try {
		return await open(address, target, isEncrypted, full);
	} catch (error) {
		// On the tenant's own server its own role can shadow nothing that is not the tenant's already.
		const isUnknownOption = error instanceof pg.DatabaseError && error.code === protocolViolation;
		if (!isUnknownOption || !target.isTenantNamed) throw error;
		return open(address, target, isEncrypted, target.options);
	}
}

async function open(
	address: string,
	target: ProjectDatabaseTarget,
	isEncrypted: boolean,
	options: string | null,
): Promise<ProjectConnection> {
	const socket = new Socket();
	const client = new pg.Client({
		host: address,
		port: target.port,
		user: target.user,
		password: target.password,
		database: target.database,
		application_name: "capydb",
		connectionTimeoutMillis: connectTimeoutMs,
		keepAlive: true,
		stream: () => socket,
		ssl: isEncrypted ? tlsOptions(target) : false,
		...(options === null ? {} : { options }),
	});
	surviveGarbage(client, socket);
	let broken = false;
	// Without a listener, a connection that breaks while it is idle would end the process.
	client.on("error", () => {
		broken = true;
	});
	client.on("end", () => {
		broken = true;
	});
	const destroy = () => {
		broken = true;
		socket.destroy();
		void client.end().catch(() => undefined);
	};
	try {
		await client.connect();
	} catch (error) {
		destroy();
		throw error;
	}
	return { client, bytesRead: () => socket.bytesRead, isBroken: () => broken, destroy };
}

/** libpq's meaning: `require` and `prefer` encrypt without verifying; `verify-ca` leaves out the name. */
function tlsOptions(target: ProjectDatabaseTarget) {
	const name = isIP(target.host) === 0 ? { servername: target.host } : { host: target.host };
	switch (target.sslMode) {
		case "verify-full":
			return { ...name, rejectUnauthorized: true };
		case "verify-ca":
			return { ...name, rejectUnauthorized: true, checkServerIdentity: () => undefined };
		default:
			return { ...name, rejectUnauthorized: false };
	}
}

/**
 * The driver reads messages inside the stream's `data` event, where a malformed one would throw past everybody and
 * end the process, or never return. From a server that a tenant named, that must only cost the connection.
 */
function surviveGarbage(client: pg.Client, socket: Socket): void {
	const connection = (client as unknown as { connection: { attachListeners(stream: Readable): void } })
		.connection;
	const attach = connection.attachListeners.bind(connection);
	connection.attachListeners = (stream) => {
		const isSound = createMessageCheck();
		const on = stream.on;
		const guardedOn = (event: string, listener: (chunk: Buffer) => void) => {
			const guarded = (chunk: Buffer) => {
				try {
					if (!isSound(chunk)) throw new Error("The server's answer cannot be read.");
					listener(chunk);
				} catch (error) {
					stream.off("data", guarded);
					socket.destroy(error as Error);
				}
			};
			return on.call(stream, event, event === "data" ? guarded : listener);
		};
		stream.on = guardedOn as typeof on;
		attach(stream);
		stream.on = on;
	};
}
