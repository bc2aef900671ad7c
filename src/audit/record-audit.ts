import type { Context } from "../context.ts";
import { newId, type OrganizationId, type ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";

type AuditInput = {
	organizationId: OrganizationId;
	projectId?: ProjectId | null;
	/** `noun.verb`, as `api_key.revoked`. Callers read it, so it stays as it is. */
	action: string;
	actor: Actor;
	/** Identifiers and names of fields; never a secret, never a value that a user typed. */
	metadata?: Record<string, unknown>;
};

/** Writes down who did what, in the transaction that does it. */
export async function recordAudit(
	on: { stores: Pick<Context["stores"], "audit"> },
	input: AuditInput,
): Promise<void> {
	await on.stores.audit.insert({
		id: newId("aud"),
		organizationId: input.organizationId,
		projectId: input.projectId ?? null,
		action: input.action,
		actorKind: input.actor.kind,
		actorId: input.actor.id,
		metadata: input.metadata ?? {},
	});
}
