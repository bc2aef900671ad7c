import { createHash } from "node:crypto";
import type { Context } from "../context.ts";
import { AppError, notFound } from "../core/errors.ts";
import { type IntegrationId, isId, newId, type ProjectId } from "../core/ids.ts";
import type { Integration } from "../integrations/integration.ts";
import { liveSigningSecrets } from "../integrations/integration-secrets.ts";
import { judgePathToken } from "../integrations/platforms/hook-token.ts";
import { isValueRefused } from "../platform/db-errors.ts";
import type { DeploymentProvider, PlatformEvent } from "../providers/deployment-provider.ts";
import type { WebhookHeaders } from "../providers/provider.ts";
import { signatureRefused, unavailable, unreadable } from "./errors.ts";
import { shortened } from "./event-key.ts";
import type { RejectionRecorder } from "./rejection-recorder.ts";

type Input = {
	provider: DeploymentProvider;
	/** Project, path token and event as they stand in the URL. */
	projectId: string;
	token: string;
	event: string | null;
	rawBody: Buffer;
	headers: WebhookHeaders;
	/** Of the caller. */
	address: string;
};

/** Signatures hold no time: what is older by its own is kept, and has no effect. */
const staleMs = 7 * 24 * 3_600_000;

/**
 * Checks a platform's webhook, by the token in its path and by its signature, and stores it once. Its effect comes
 * later. Returns the integration that has something new to do, or null. Throws what the platform is to be answered
 * (contract §4, Inbound), for some give up, or destroy the hook, on the wrong status.
 */
export async function receivePlatformWebhook(
	ctx: Pick<Context, "stores" | "vault" | "clock">,
	rejections: RejectionRecorder,
	input: Input,
): Promise<IntegrationId | null> {
	const integration = await findIntegration(ctx, input);
	try {
		if (!isCalledBy(integration, input)) return null;
		const event = verify(ctx, integration, input);
		return (await store(ctx, integration, event, input.rawBody)) ? integration.id : null;
	} catch (error) {
		const isRefusal = error instanceof AppError && error.kind !== "unavailable";
		if (isRefusal) rejections.record(integration, { reason: error.code, address: input.address });
		throw error;
	}
}

async function findIntegration(ctx: Pick<Context, "stores">, input: Input): Promise<Integration> {
	const { projectId, provider } = input;
	if (!isId("prj", projectId)) throw notFound("project");
	const found = await ctx.stores.integrations.findForWebhook({ projectId, provider: provider.id });
	if (found) return found;
	if (!(await isProject(ctx, projectId))) throw notFound("project");
	throw notConnected(provider);
}

async function isProject(ctx: Pick<Context, "stores">, projectId: ProjectId): Promise<boolean> {
	return (await ctx.stores.projects.find(projectId)) !== null;
}

function notConnected({ refusals, displayName }: DeploymentProvider): AppError {
	const kind = refusals.noIntegration === 401 ? "unauthenticated" : "not_found";
	return new AppError(
		kind,
		"webhook.not_connected",
		`No hook of ${displayName} is known under this address.`,
	);
}

/** False while the integration is disabled. Throws for a token that is not that of a hook of ours. */
function isCalledBy(integration: Integration, { provider, token }: Input): boolean {
	const verdict = judgePathToken(integration, token);
	if (verdict === "unknown") throw notConnected(provider);
	if (integration.state === "disabled") return false;
	// The platform is quicker than its answer to our registration, which brings the secret.
	if (verdict === "awaited") throw unavailable();
	return true;
}

/** The path token alone counts where the platform was seen not to sign. */
function verify(
	ctx: Pick<Context, "vault" | "clock">,
	integration: Integration,
	input: Input,
): ReceivedEvent {
	const { provider, rawBody, headers, event } = input;
	const now = ctx.clock.now();
	const secrets = liveSigningSecrets(ctx.vault, integration, now);
	if (secrets.length > 0) {
		const verdict = provider.verifyWebhook({ rawBody, headers, secrets, now });
		if (verdict !== "genuine") throw signatureRefused(verdict);
	}
	const read = provider.readWebhook({ rawBody, headers, event });
	if (!read) throw unreadable();
	return { ...read, state: stateOf(read, integration, now) };
}

type ReceivedEvent = PlatformEvent & { state: "received" | "ignored" | "stale" };

function stateOf(event: PlatformEvent, { externalId }: Integration, now: Date): ReceivedEvent["state"] {
	if (event.occurredAt !== null && now.getTime() - event.occurredAt.getTime() > staleMs) return "stale";
	// A hook may see other projects too, and one that was just connected elsewhere may still call.
	const isOfOther = event.instance !== null && externalId !== null && event.instance !== externalId;
	return isOfOther ? "ignored" : "received";
}

/** False when there is nothing to do: the event came before, or has no effect. */
async function store(
	ctx: Pick<Context, "stores">,
	integration: Integration,
	event: ReceivedEvent,
	rawBody: Buffer,
): Promise<boolean> {
	const { alternateEventId } = event;
	try {
		const isNew = await ctx.stores.inbound.insert([
			{
				id: newId("inb"),
				organizationId: integration.organizationId,
				projectId: integration.projectId,
				integrationId: integration.id,
				provider: integration.provider,
				providerEventId: shortened(event.providerEventId),
				alternateEventId: alternateEventId === null ? null : shortened(alternateEventId),
				type: event.type,
				state: event.state,
				document: JSON.stringify(event.document),
				bodyHash: createHash("sha256").update(rawBody).digest(),
				occurredAt: event.occurredAt,
			},
		]);
		return isNew && event.state === "received";
	} catch (error) {
		// A value that Postgres cannot hold is the body's fault: the platform's next try would bring it again.
		if (isValueRefused(error)) throw unreadable(error);
		throw error;
	}
}
