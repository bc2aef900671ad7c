import type { TaskData } from "../context.ts";

/** What may take minutes or hours: copies of databases, readings of all users, replays. */
const longTypes = /^(branch\.(create|reset)|integration\.\w+_backfill|webhook\.replay)$/;

/** The task that runs jobs of a type. Long ones have slots of their own: they hold up each other, and nothing else. */
export function taskOf(type: string): Extract<keyof TaskData, "jobs.run" | "jobs.run_long"> {
	return longTypes.test(type) ? "jobs.run_long" : "jobs.run";
}
