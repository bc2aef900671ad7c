import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { chooseUser, giveTo, type SystemUser } from "../../src/platform/embedded-postgres-user.ts";
import { until } from "../support/until.ts";

/** Where Debian's package postgresql-15 puts its programs. */
export const debianBinaries = "/usr/lib/postgresql/15/bin";

export type DebianCluster = { url: string; stop(): Promise<void> };

const password = "cluster";

/** A Postgres of Debian's on a free port, with its data in a folder of its own. */
export async function startDebianCluster(): Promise<DebianCluster> {
	const folder = await mkdtemp(join(tmpdir(), "capydb-debian-"));
	const data = join(folder, "data");
	const passwordFile = join(folder, "password");
	await writeFile(passwordFile, password);
	const user = await chooseUser(data);
	if (user) await giveTo(user, folder);
	const initialise = ["-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", passwordFile];
	const [code] = await once(
		start("initdb", [...initialise, "-E", "UTF8", "--no-sync"], folder, user),
		"exit",
	);
	if (code !== 0) throw new Error(`initdb ended with ${code}`);
	const port = await freePort();
	const settings = {
		port,
		listen_addresses: "127.0.0.1",
		unix_socket_directories: "",
		fsync: "off",
		max_connections: 100,
	};
	const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
	const server = start("postgres", ["-D", data, ...flags], folder, user);
	const exited = once(server, "exit");
	const url = `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`;
	await until(() => answers(url));
	return {
		url,
		stop: async () => {
			server.kill("SIGINT");
			await exited;
			await rm(folder, { recursive: true, force: true });
		},
	};
}

function start(program: string, args: string[], cwd: string, user: SystemUser | undefined) {
	const as = user ? { uid: user.uid, gid: user.gid } : {};
	return spawn(join(debianBinaries, program), args, { cwd, ...as, stdio: "ignore", env: { LC_ALL: "C" } });
}

async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	server.close();
	await once(server, "close");
	return typeof address === "object" && address ? address.port : 0;
}

async function answers(url: string): Promise<boolean> {
	const client = new pg.Client({ connectionString: url });
	try {
		await client.connect();
		await client.end();
		return true;
	} catch {
		return false;
	}
}
