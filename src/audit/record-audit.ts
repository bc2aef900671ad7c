import type { Context } from "../context.ts";
import { newId, type OrganizationId, type ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";

export type AuditInput = {
	organizationId: OrganizationId;
	projectId?: ProjectId | null;
	/** `noun.verb`, as `api_key.revoked`. Callers read it, so it stays as it is. */
	action: string;
	actor: Actor;
	/** Identifiers and names of fields; never a secret, never a value that a user typed. */
	metadata?: Record<string, unknown>;
};

type Recording = { stores: Pick<Context["stores"], "audit"> };

/** Writes down who did what, in the transaction that does it. */
export async function recordAudit(on: Recording, input: AuditInput): Promise<void> {
	await recordAudits(on, [input]);
}

/** The same for several things, in one statement. */
export async function recordAudits(on: Recording, inputs: readonly AuditInput[]): Promise<void> {
	await on.stores.audit.insert(
		inputs.map((input) => ({
			id: newId("aud"),
			organizationId: input.organizationId,
			projectId: input.projectId ?? null,
			action: input.action,
			actorKind: input.actor.kind,
			actorId: input.actor.id,
			metadata: input.metadata ?? {},
		})),
	);
}
