import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Complaint, readComplaint } from "./postgres-complaints.ts";

export type ToolRun = { command: string; args: string[]; env: Record<string, string> };

/** How a tool ended. */
export type ToolEnd = {
	/** The tool's own; as in a shell, 127 when it could not be started and 128 when a signal ended it. */
	exitCode: number;
	complaints: Complaint[];
	/** How many errors there were that lose nothing. */
	harmless: number;
};

const complaintsMax = 20;
const killAfterMs = 5_000;
const outputBytesMax = 10_000;

/** Runs a tool that says little. Does not throw: what could not be started has ended with 127. */
export async function runTool(
	run: ToolRun,
	signal: AbortSignal,
): Promise<{ exitCode: number; output: string }> {
	const child = start(run, "ignore", signal);
	let output = "";
	child.stdout?.on("data", (chunk: Buffer) => {
		if (output.length < outputBytesMax) output += chunk.toString("utf8");
	});
	child.stderr?.resume();
	return { exitCode: await closed(child), output };
}

/**
 * Runs two tools, the output of one being the input of the other. The bytes go through this process, so that both
 * tools end when it dies. Aborting ends them within 5 s.
 */
export async function runPipe(
	source: ToolRun,
	sink: ToolRun,
	signal: AbortSignal,
): Promise<{ source: ToolEnd; sink: ToolEnd }> {
	const children = [start(source, "ignore", signal), start(sink, "pipe", signal)] as const;
	const [from, to] = children;
	to.stdout?.resume();
	const ends = Promise.all(children.map(endOf));
	if (from.stdout && to.stdin) {
		// Either end may break; how the tools end tells which one and why.
		await pipeline(from.stdout, to.stdin).catch(() => undefined);
	}
	const [sourceEnd, sinkEnd] = await ends;
	return { source: sourceEnd as ToolEnd, sink: sinkEnd as ToolEnd };
}

function start(run: ToolRun, stdin: "ignore" | "pipe", signal: AbortSignal): ChildProcess {
	const child = spawn(run.command, run.args, { env: run.env, stdio: [stdin, "pipe", "pipe"] });
	const stop = () => {
		child.kill("SIGTERM");
		setTimeout(() => child.kill("SIGKILL"), killAfterMs).unref();
	};
	if (signal.aborted) stop();
	else signal.addEventListener("abort", stop, { once: true });
	child.once("close", () => signal.removeEventListener("abort", stop));
	return child;
}

async function endOf(child: ChildProcess): Promise<ToolEnd> {
	const complaints: Complaint[] = [];
	let harmless = 0;
	const reading = readLines(child.stderr, (line) => {
		const complaint = readComplaint(line);
		if (complaint === "harmless") harmless += 1;
		else if (complaint !== null && complaints.length < complaintsMax) complaints.push(complaint);
	});
	const exitCode = await closed(child);
	await reading;
	return { exitCode, complaints, harmless };
}

async function readLines(stream: Readable | null, read: (line: string) => void): Promise<void> {
	if (stream === null) return;
	for await (const line of createInterface({ input: stream })) read(line);
}

/** Its exit code, once all that it has said was read. */
function closed(child: ChildProcess): Promise<number> {
	return new Promise((resolve) => {
		child.once("error", () => resolve(127));
		child.once("close", (code) => resolve(code ?? 128));
	});
}
