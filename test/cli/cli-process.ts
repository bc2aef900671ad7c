import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { systemVariables } from "../journeys/server-process.ts";
import { encryptionKeys, type TestServer } from "../support/server.ts";

const cli = fileURLToPath(new URL("../../src/cli.ts", import.meta.url));

export type CliResult = {
	code: number | null;
	stdout: string;
	stderr: string;
	// biome-ignore lint/suspicious/noExplicitAny: each command prints another shape
	json: any;
};

/** Runs a command as a process of its own, with no variables but those of the system and the given ones. */
export async function runCli(
	args: string[],
	env: Record<string, string> = {},
	input: string | Buffer = "",
): Promise<CliResult> {
	const child = spawnCli(args, env);
	child.stdin.end(input);
	const outputs = Promise.all([text(child.stdout), text(child.stderr)]);
	const [code] = await once(child, "exit");
	const [stdout, stderr] = await outputs;
	return { code, stdout, stderr, json: args.includes("--json") ? parse(stdout || stderr) : null };
}

/** The same on the database of a test's server. */
export function runOn(
	server: TestServer,
	args: string[],
	env: Record<string, string> = {},
): Promise<CliResult> {
	return runCli(args, { ...variablesOf(server), ...env });
}

export function variablesOf(server: TestServer): Record<string, string> {
	return {
		DATABASE_URL: server.databaseUrl,
		ENCRYPTION_KEYS: encryptionKeys,
		WEBHOOK_ALLOW_PRIVATE_NETWORKS: "true",
	};
}

export function spawnCli(args: string[], env: Record<string, string>) {
	return spawn(process.execPath, [cli, ...args], {
		env: { ...systemVariables(), ...env },
		stdio: ["pipe", "pipe", "pipe"],
	});
}

function parse(written: string): unknown {
	try {
		return JSON.parse(written);
	} catch {
		return null;
	}
}
