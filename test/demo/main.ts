// `npm run demo` and `npm run demo -- vercel`: the server at work, on a throw-away data folder.
import { tellOfClerk, users } from "./clerk-act.ts";
import { createClosers, openStory, type Story } from "./story.ts";
import { must, type Summary, say, secondsSoFar } from "./telling.ts";
import { tellOfVercel } from "./vercel-act.ts";

const acts: Record<string, (story: Story) => Promise<Summary>> = { clerk: tellOfClerk, vercel: tellOfVercel };

const act = acts[process.argv[2] ?? "clerk"];
if (act === undefined) {
	process.stderr.write(`There is no act ${process.argv[2]}; there are ${Object.keys(acts).join(", ")}.\n`);
	process.exit(1);
}
const closers = createClosers();
let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void interrupt());

try {
	const story = await openStory(users, closers);
	say(`the server runs at ${story.server.url}, with an embedded Postgres and project ${story.projectId}`);
	const summary = await act(story);
	const exit = await story.close();
	must(exit?.code === 0, `The server ended with ${exit?.code ?? exit?.signal} after SIGTERM.`);
	say("the server stopped on SIGTERM with exit code 0, and its Postgres with it");
	process.stdout.write(`\n${table([...summary, ["seconds", secondsSoFar()]])}\n`);
} catch (error) {
	await closers.closeAll();
	if (!interrupted) process.stderr.write(`\nThis does not hold: ${sentence(error)}\n`);
	process.exitCode = interrupted ? 130 : 1;
}

function sentence(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

function table(rows: Summary): string {
	const width = Math.max(...rows.map(([name]) => name.length));
	return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${String(value).padStart(6)}`).join("\n");
}

/** Ctrl-C: what runs is stopped and removed, then the steps under way have nothing left to talk to. */
async function interrupt(): Promise<void> {
	if (interrupted) return;
	interrupted = true;
	process.stdout.write("\nstopping …\n");
	await closers.closeAll();
	process.exit(130);
}
