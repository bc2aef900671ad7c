import type { NewEvent } from "../events/event.ts";
import type { Job } from "./job.ts";
import { toJobWire } from "./wire.ts";

/** The event that tells how a job ended, with the job in its data as the API shows it. */
export function jobEvent(job: Job, type: "job.completed" | "job.failed"): NewEvent {
	const { organizationId, projectId } = job;
	return { organizationId, projectId, type, data: JSON.stringify({ job: toJobWire(job) }) };
}
