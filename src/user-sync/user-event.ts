import type { NewEvent } from "../events/event.ts";
import type { Project } from "../projects/project.ts";
import type { ChangeKind, SyncedUser } from "./synced-user.ts";
import { toUserWire } from "./wire.ts";

/** The most that one event may hold. */
const eventBytesMax = 256 * 1024;

/**
 * The event that tells what became of a user, with the user as the API shows it. A document too large for an event is
 * left out.
 */
export function userEvent(
	project: Pick<Project, "id" | "organizationId">,
	provider: string,
	{ kind, user }: { kind: ChangeKind; user: SyncedUser },
): NewEvent {
	const { organizationId, id: projectId } = project;
	const shown = toUserWire({ ...user, provider });
	const dataWith = (raw: typeof shown.raw) =>
		JSON.stringify({ provider, user_id: user.id, project_id: projectId, user: { ...shown, raw } });
	const whole = dataWith(shown.raw);
	const data = Buffer.byteLength(whole) <= eventBytesMax ? whole : dataWith(null);
	return { organizationId, projectId, type: `user.${kind}`, data };
}
