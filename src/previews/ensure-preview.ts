import type { Transaction } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { systemActor } from "../core/principal.ts";
import type { Job } from "../jobs/job.ts";
import { addPreview, lockProject } from "./create-preview.ts";
import type { Preview, PreviewMode } from "./preview.ts";
import { rebuildPreview } from "./reset-preview.ts";

type Input = { projectId: ProjectId; name: string; mode: PreviewMode; ttlHours: number };

/**
 * The project's preview of that name, made unless it is there: callers at the same time get the same one. One that
 * is there lives for at least `ttlHours` from now, and is built again if it had failed. `job` is the one that builds
 * it, null when it stands or is being built. Throws what `createPreview` throws, but never for the name, and before
 * anything is written.
 */
export async function ensurePreview(
	tx: Transaction,
	input: Input,
): Promise<{ preview: Preview; job: Job | null }> {
	const project = await lockProject(tx, input.projectId);
	const existing = await tx.stores.previews.findByNameForUpdate(project.id, input.name);
	if (!existing) return addPreview(tx, project, { ...input, actor: systemActor });
	return keepAlive(tx, existing, input.ttlHours);
}

async function keepAlive(
	tx: Transaction,
	existing: Preview,
	ttlHours: number,
): Promise<{ preview: Preview; job: Job | null }> {
	const preview = (await tx.stores.previews.prolong(existing.id, ttlHours)) ?? existing;
	if (preview.state !== "failed") return { preview, job: null };
	return rebuildPreview(tx, preview, systemActor);
}
