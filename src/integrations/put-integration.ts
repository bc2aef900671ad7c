import { randomBytes } from "node:crypto";
import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { publishEvents } from "../events/publish-events.ts";
import type { Provider } from "../providers/registry.ts";
import { type Checked, checkPut, makesSigningSecret } from "./check-put.ts";
import { claimIntegration } from "./claim-integration.ts";
import {
	type Integration,
	type IntegrationConfig,
	type IntegrationPut,
	type IntegrationState,
	isUsable,
} from "./integration.ts";
import { integrationEvent } from "./integration-event.ts";
import { sealCredentials, sealSigningSecret } from "./integration-secrets.ts";
import type { IntegrationChanges, StatusChange } from "./store.ts";

type Input = { projectId: ProjectId; provider: Provider; put: IntegrationPut; actor: Actor };

type Result = {
	integration: Integration;
	/** A signing secret that was made here; shown once. */
	madeSigningSecret: string | null;
};

/**
 * Makes or changes an integration. New credentials are checked at the provider first. An auth provider's schema in
 * the project's database is made by a task: until it stands, and until there is a secret to work with, the state
 * is `pending`.
 */
export async function putIntegration(
	ctx: Pick<Context, "stores" | "transaction" | "vault" | "publicUrl" | "providers" | "clock" | "log">,
	input: Input,
): Promise<Result> {
	const { projectId, provider, put, actor } = input;
	const checked = await checkPut(ctx, input);
	return ctx.transaction(async (tx) => {
		const { integration: found, isNew } = await claimIntegration(tx, projectId, provider);
		const signingSecret = chooseSigningSecret(provider, put, found);
		const changes = changesOf(tx, input, { found, checked, signingSecret });
		const state = nextState(provider, { ...found, ...changes }, put, checked !== null);
		const status = statusOf(checked, found.state === "error" && state !== "error");
		const integration = await tx.stores.integrations.update(found.id, { ...changes, state }, status);
		const task = followUp(provider, integration);
		const options = { singletonKey: found.id, movesWaiting: task === "inbound.apply" };
		if (task !== null) await tx.tasks.send(task, { integrationId: found.id }, options);
		if (found.state === "pending" && state === "active") {
			await publishEvents(tx, [integrationEvent(ctx, integration, "integration.connected")]);
		}
		const metadata = { integration_id: found.id, provider: provider.id, created: isNew };
		await recordAudit(tx, {
			organizationId: found.organizationId,
			projectId,
			action: "project.integration.upsert",
			actor,
			metadata,
		});
		return { integration, madeSigningSecret: signingSecret?.isMade ? signingSecret.secret : null };
	});
}

type ChosenSecret = { secret: string; isMade: boolean };

function chooseSigningSecret(
	provider: Provider,
	put: IntegrationPut,
	found: Integration,
): ChosenSecret | null {
	if (typeof put.signingSecret === "string") return { secret: put.signingSecret, isMade: false };
	const isWanted = put.signingSecret === null || found.signingSecrets === null;
	if (!isWanted || !makesSigningSecret(provider)) return null;
	return { secret: `whsec_${randomBytes(32).toString("base64")}`, isMade: true };
}

type Given = { found: Integration; checked: Checked | null; signingSecret: ChosenSecret | null };

function changesOf(
	tx: Pick<Transaction, "vault" | "clock">,
	{ provider, put }: Input,
	{ found, checked, signingSecret }: Given,
): IntegrationChanges {
	// Those that were only checked anew may have been renewed meanwhile.
	const isGiven = checked !== null && Object.keys(put.credentials).length > 0;
	return {
		config: mergeConfig(found.config, put.config),
		...externalIdOf(put, checked),
		...(isGiven ? { credentials: sealCredentials(tx.vault, found, checked.credentials) } : {}),
		...(signingSecret === null
			? {}
			: { signingSecrets: sealSigningSecret(tx, found, { provider, secret: signingSecret.secret }) }),
	};
}

function statusOf(checked: Checked | null, recovers: boolean): StatusChange {
	const team = checked?.targetTeamId ?? null;
	const productionBranch = checked?.productionBranch ?? null;
	return {
		drop: [
			...(recovers ? (["lastError"] as const) : []),
			...(checked === null ? [] : (["targetTeamId", "productionBranch"] as const)),
		],
		set: {
			...(team === null ? {} : { targetTeamId: team }),
			...(productionBranch === null ? {} : { productionBranch }),
		},
	};
}

function externalIdOf(put: IntegrationPut, checked: Checked | null): Pick<IntegrationChanges, "externalId"> {
	if (checked !== null && checked.externalId !== null) return { externalId: checked.externalId };
	return put.externalId === undefined ? {} : { externalId: put.externalId };
}

function mergeConfig(stored: IntegrationConfig, given: IntegrationPut["config"]): IntegrationConfig {
	const entries = Object.entries({ ...stored, ...given }).filter(([, value]) => value !== undefined);
	return Object.fromEntries(entries);
}

function nextState(
	provider: Provider,
	after: Integration,
	put: IntegrationPut,
	hasNewCredentials: boolean,
): IntegrationState {
	if (put.state === "disabled") return "disabled";
	const isAsked = put.state === "active";
	if (after.state === "disabled" && !isAsked) return "disabled";
	if (after.state === "error" && !isAsked && !hasNewCredentials) return "error";
	if (after.state === "active") return "active";
	return isReady(provider, after) ? "active" : "pending";
}

function isReady({ kind }: Pick<Provider, "kind">, after: Integration): boolean {
	if (kind === "deployment") return after.credentials !== null && after.externalId !== null;
	return isUsable(after) && after.status.schemaReadyAt !== undefined;
}

/** What brings the change about: schema and webhooks of users, or hook and variables at the platform. */
function followUp({ kind }: Pick<Provider, "kind">, { state, status }: Integration) {
	if (kind === "deployment") return state === "pending" ? null : "integrations.reconcile";
	return state === "pending" || status.applyError !== undefined ? "inbound.apply" : null;
}
