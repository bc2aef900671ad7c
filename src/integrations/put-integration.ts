import { randomBytes } from "node:crypto";
import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { AppError, notFound } from "../core/errors.ts";
import { newId, type ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { publishEvents } from "../events/publish-events.ts";
import type { AuthProvider, Credentials } from "../providers/provider.ts";
import { checkCredentials } from "./check-credentials.ts";
import { projectIsBeingDeleted } from "./errors.ts";
import {
	type Integration,
	type IntegrationConfig,
	type IntegrationPut,
	type IntegrationState,
	isUsable,
} from "./integration.ts";
import { integrationEvent } from "./integration-event.ts";
import { openCredentials, sealCredentials, sealSigningSecret } from "./integration-secrets.ts";
import type { IntegrationChanges } from "./store.ts";

type Input = { projectId: ProjectId; provider: AuthProvider; put: IntegrationPut; actor: Actor };

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
	ctx: Pick<Context, "stores" | "transaction" | "vault" | "publicUrl" | "providers">,
	input: Input,
): Promise<Result> {
	const { projectId, provider, put, actor } = input;
	const checked = await checkGiven(ctx, input);
	return ctx.transaction(async (tx) => {
		const project = await tx.stores.projects.findForUpdate(projectId);
		if (!project) throw notFound("project");
		if (project.state === "deleting") throw projectIsBeingDeleted();
		const { organizationId } = project;
		const fresh = { id: newId("int"), organizationId, projectId, provider: provider.id };
		const { integration: found, isNew } = await tx.stores.integrations.claim(fresh);
		const signingSecret = chooseSigningSecret(provider, put, found);
		const changes: IntegrationChanges = {
			config: mergeConfig(found.config, put.config),
			...externalIdOf(put, checked),
			...(checked === null ? {} : { credentials: sealCredentials(tx.vault, found, checked.credentials) }),
			...(signingSecret === null
				? {}
				: { signingSecrets: sealSigningSecret(tx, found, { provider, secret: signingSecret.secret }) }),
		};
		const state = nextState({ ...found, ...changes }, put, checked !== null);
		const recovers = found.state === "error" && state !== "error";
		const status = recovers ? { drop: ["lastError" as const] } : {};
		const integration = await tx.stores.integrations.update(found.id, { ...changes, state }, status);
		if (state === "pending") {
			await tx.tasks.send("inbound.apply", { integrationId: found.id }, { singletonKey: found.id });
		}
		if (found.state === "pending" && state === "active") {
			await publishEvents(tx, [integrationEvent(ctx, integration, "integration.connected")]);
		}
		const metadata = { integration_id: found.id, provider: provider.id, created: isNew };
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "project.integration.upsert",
			actor,
			metadata,
		});
		return { integration, madeSigningSecret: signingSecret?.isMade ? signingSecret.secret : null };
	});
}

type Checked = { credentials: Credentials; externalId: string | null };

/** Null when no credentials were given. What is given joins what is stored. */
async function checkGiven(ctx: Pick<Context, "stores" | "vault">, input: Input): Promise<Checked | null> {
	const { provider, put, projectId } = input;
	if (put.signingSecret === null && !makesSigningSecret(provider)) {
		const { displayName } = provider;
		const sentence = `${displayName} makes the signing secret: paste the one that it shows for the webhook endpoint.`;
		throw new AppError("invalid", "credentials_webhook_signing_secret.invalid", sentence);
	}
	if (Object.keys(put.credentials).length === 0) return null;
	const stored = await ctx.stores.integrations.findByProvider(projectId, provider.id);
	const credentials = { ...(stored ? openCredentials(ctx.vault, stored) : {}), ...put.credentials };
	return { credentials, ...(await checkCredentials(provider, credentials)) };
}

/** A provider that has a connect route keeps its own signing secrets; the others take the one that we make. */
function makesSigningSecret(provider: Pick<AuthProvider, "connectBody">): boolean {
	return provider.connectBody === null;
}

function chooseSigningSecret(
	provider: AuthProvider,
	put: IntegrationPut,
	found: Integration,
): { secret: string; isMade: boolean } | null {
	if (typeof put.signingSecret === "string") return { secret: put.signingSecret, isMade: false };
	const isWanted = put.signingSecret === null || found.signingSecrets === null;
	if (!isWanted || !makesSigningSecret(provider)) return null;
	return { secret: `whsec_${randomBytes(32).toString("base64")}`, isMade: true };
}

function externalIdOf(put: IntegrationPut, checked: Checked | null): Pick<IntegrationChanges, "externalId"> {
	if (checked !== null && checked.externalId !== null) return { externalId: checked.externalId };
	return put.externalId === undefined ? {} : { externalId: put.externalId };
}

function mergeConfig(stored: IntegrationConfig, given: IntegrationPut["config"]): IntegrationConfig {
	const entries = Object.entries({ ...stored, ...given }).filter(([, value]) => value !== undefined);
	return Object.fromEntries(entries);
}

function nextState(after: Integration, put: IntegrationPut, hasNewCredentials: boolean): IntegrationState {
	if (put.state === "disabled") return "disabled";
	const isAsked = put.state === "active";
	if (after.state === "disabled" && !isAsked) return "disabled";
	if (after.state === "error" && !isAsked && !hasNewCredentials) return "error";
	if (after.state === "active") return "active";
	return isUsable(after) && after.status.schemaReadyAt !== undefined ? "active" : "pending";
}
