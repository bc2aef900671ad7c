import type { NewEvent } from "../events/event.ts";
import type { Project } from "./project.ts";
import { toProjectWire } from "./wire.ts";

type Type = "project.ready" | "project.deleted" | "credentials.rotated";

/** The event that tells of a project, as it is after the change. */
export function projectEvent(type: Type, project: Project): NewEvent {
	const { organizationId, id: projectId } = project;
	return { organizationId, projectId, type, data: JSON.stringify({ project: toProjectWire(project) }) };
}
