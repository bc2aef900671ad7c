import { buffer } from "node:stream/consumers";
import { type Command, helpOf, readArguments, type Surroundings, UsageError } from "./cli/command.ts";
import { commands } from "./cli/commands.ts";
import { createCliLog } from "./cli/open-context.ts";
import { ConfigError } from "./config.ts";
import { AppError } from "./core/errors.ts";
import { StartRefused } from "./outside.ts";

/** 0: done. 1: refused or failed. 2: the command line cannot be understood. */
type ExitCode = 0 | 1 | 2;

process.exitCode = await run(process.argv.slice(2));

async function run([name = "", ...args]: string[]): Promise<ExitCode> {
	const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
	if (command) return runCommand(name, command, args);
	if (/^(|--help|-h|help)$/.test(name)) {
		process.stdout.write(overview());
		return name === "" ? 2 : 0;
	}
	process.stderr.write(`There is no command \`${name}\`.\n\n${overview()}`);
	return 2;
}

async function runCommand(name: string, command: Command, args: string[]): Promise<ExitCode> {
	const isJson = args.includes("--json");
	try {
		const given = await readArguments(command, args);
		if (given.flag("help")) {
			process.stdout.write(helpOf(name, command));
			return 0;
		}
		const { text, json, isBad } = await command.run(given, surroundings());
		process.stdout.write(isJson ? `${JSON.stringify(json)}\n` : `${text}\n`);
		return isBad ? 1 : 0;
	} catch (error) {
		const sentence = sentenceOf(error);
		const code = error instanceof AppError ? { code: error.code } : {};
		process.stderr.write(isJson ? `${JSON.stringify({ error: sentence, ...code })}\n` : `${sentence}\n`);
		if (!(error instanceof UsageError)) return 1;
		if (!isJson) process.stderr.write(`\`npm run cli -- ${name} --help\` lists the options.\n`);
		return 2;
	}
}

function surroundings(): Surroundings {
	return {
		env: process.env,
		readInput: () => buffer(process.stdin),
		tell: (line) => void process.stdout.write(`${line}\n`),
		warn: (line) => void process.stderr.write(`${line}\n`),
		whenEnded,
	};
}

function whenEnded(): AbortSignal {
	const ended = new AbortController();
	for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ended.abort());
	return ended.signal;
}

function sentenceOf(error: unknown): string {
	if (error instanceof AppError) return inOptions(error);
	if (error instanceof ConfigError || error instanceof StartRefused || error instanceof UsageError) {
		return error.message;
	}
	createCliLog().error({ err: error }, "a command failed");
	return "The command failed; the log above says how.";
}

/** Operations name the fields of a body: here those are options. */
function inOptions({ kind, message }: AppError): string {
	if (kind !== "invalid") return message;
	return message.replace(/^`([a-z_]+)`/, (_, field: string) => `\`--${field.replaceAll("_", "-")}\``);
}

function overview(): string {
	const width = Math.max(...Object.keys(commands).map((name) => name.length));
	const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
	return `Usage: npm run cli -- <command> [options]

${lines.join("\n")}

\`npm run cli -- <command> --help\` lists a command's options. Each prints JSON with --json.
Those that reach the database read the environment as the server does.
`;
}
