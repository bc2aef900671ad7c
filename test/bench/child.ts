import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

// biome-ignore lint/suspicious/noExplicitAny: a command takes and answers whatever JSON it likes
export type Commands = Record<string, (input: any) => unknown>;

export type Child<Served extends Commands> = {
	call<Name extends keyof Served & string>(
		name: Name,
		...input: Parameters<Served[Name]>
	): Promise<Awaited<ReturnType<Served[Name]>>>;
	/** Lets it end what it does; `atOnce`: ends it now. */
	stop(atOnce?: boolean): Promise<void>;
};

export type ChildOptions = { env?: Record<string, string>; execArgv?: string[] };

type Request = { id: number; name: string; input: unknown };
type Reply = { id: number; result?: unknown; error?: string };

/** Starts `<name>-process.ts` of this folder in a process of its own, and returns when it serves its commands. */
export async function startChild<Served extends Commands>(
	name: string,
	{ env = {}, execArgv = [] }: ChildOptions = {},
): Promise<Child<Served>> {
	const file = fileURLToPath(new URL(`./${name}-process.ts`, import.meta.url));
	const child = fork(file, [], { env: { ...process.env, ...env }, execArgv, serialization: "advanced" });
	const waiting = new Map<number, PromiseWithResolvers<unknown>>();
	let lastId = 0;
	child.on("message", (reply: Reply) => {
		const waited = waiting.get(reply.id);
		waiting.delete(reply.id);
		if (reply.error === undefined) waited?.resolve(reply.result);
		else waited?.reject(new Error(`${name}: ${reply.error}`));
	});
	child.once("exit", (code, signal) => {
		for (const each of waiting.values()) each.reject(new Error(`${name} ended with ${code ?? signal}`));
	});
	const leaveNone = () => void child.kill("SIGKILL");
	process.once("exit", leaveNone);
	child.once("exit", () => process.off("exit", leaveNone));
	const call = (command: string, input?: unknown) => {
		const answer = Promise.withResolvers<unknown>();
		waiting.set(++lastId, answer);
		const request: Request = { id: lastId, name: command, input };
		child.send(request, (error) => {
			if (error) answer.reject(error);
		});
		return answer.promise;
	};
	await call("ready");
	return { call: call as Child<Served>["call"], stop: (atOnce = false) => stop(child, atOnce) };
}

/** In the child: answers the parent's calls until the parent goes away. */
export function serve(commands: Commands, close: () => Promise<void> = async () => undefined): void {
	process.on("message", async ({ id, name, input }: Request) => {
		const reply: Reply = { id };
		try {
			reply.result = name === "ready" ? null : await commands[name]?.(input);
		} catch (error) {
			reply.error = error instanceof Error ? (error.stack ?? error.message) : String(error);
		}
		if (process.connected) process.send?.(reply);
	});
	process.once("disconnect", () => {
		void close().finally(() => process.exit(0));
	});
	// Ctrl-C in the terminal reaches every process; the parent ends the children in order.
	process.on("SIGINT", () => undefined);
}

async function stop(child: ChildProcess, atOnce: boolean): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const exited = once(child, "exit");
	if (atOnce) child.kill("SIGKILL");
	else child.disconnect();
	const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
	await exited;
	clearTimeout(timer);
}
