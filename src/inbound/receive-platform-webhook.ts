import { hash } from "node:crypto";
import type { Context } from "../context.ts";
import { AppError, notFound } from "../core/errors.ts";
import { type IntegrationId, isId } from "../core/ids.ts";
import type { Integration } from "../integrations/integration.ts";
import { liveAt } from "../integrations/integration-secrets.ts";
import { judgePathToken } from "../integrations/platforms/hook-token.ts";
import { isValueRefused } from "../platform/db-errors.ts";
import type { DeploymentProvider, PlatformEvent } from "../providers/deployment-provider.ts";
import type { WebhookHeaders } from "../providers/provider.ts";
import { signatureRefused, unavailable, unreadable } from "./errors.ts";
import { shortened } from "./event-key.ts";
import type { KnownIntegration, KnownIntegrations } from "./known-integrations.ts";
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

type Parts = Pick<Context, "stores" | "clock">;

/** Signatures hold no time: what is older by its own is kept, and has no effect. */
const staleMs = 7 * 24 * 3_600_000;

/** However often the integration changes between reading it and storing what it judged. */
const readingsMax = 3;

/**
 * Checks a platform's webhook, by the token in its path and by its signature, and stores it once. Its effect comes
 * later. Returns the integration that has something new to do, or null. Throws what the platform is to be answered,
 * by its own rules, for some give up, or destroy the hook, on the wrong status: for a wrong token or signature 404 or
 * 401, for a body that cannot be read 400, for our own trouble 503, so that it comes again.
 */
export async function receivePlatformWebhook(
	ctx: Parts,
	{ rejections, known }: { rejections: RejectionRecorder; known: KnownIntegrations },
	input: Input,
): Promise<IntegrationId | null> {
	const remembered = isId("prj", input.projectId) && known.recall(input.projectId, input.provider.id);
	const taken = remembered ? await receiveAsRemembered(ctx, remembered, input) : "changed";
	if (taken !== "changed") return taken;
	for (let reading = 0; reading < readingsMax; reading += 1) {
		const current = await findIntegration(ctx, known, input);
		try {
			const received = await receive(ctx, current, input);
			if (received !== "changed") return received === "disabled" ? null : received;
		} catch (error) {
			const isRefusal = error instanceof AppError && error.kind !== "unavailable";
			if (isRefusal) rejections.record(current.integration, { reason: error.code, address: input.address });
			throw error;
		}
	}
	throw unavailable();
}

/** What is refused, or has no effect, may be so no more: that is for the integration as it is now to say. */
async function receiveAsRemembered(
	ctx: Parts,
	remembered: KnownIntegration,
	input: Input,
): Promise<IntegrationId | null | "changed"> {
	try {
		const received = await receive(ctx, remembered, input);
		return received === "disabled" ? "changed" : received;
	} catch (error) {
		if (error instanceof AppError) return "changed";
		throw error;
	}
}

async function receive(
	ctx: Parts,
	known: KnownIntegration,
	input: Input,
): Promise<IntegrationId | null | "changed" | "disabled"> {
	if (!isCalledBy(known.integration, input)) return "disabled";
	const event = verify(ctx, known, input);
	return store(ctx, known, event, input.rawBody);
}

async function findIntegration(
	ctx: Parts,
	known: KnownIntegrations,
	{ projectId, provider }: Input,
): Promise<KnownIntegration> {
	if (!isId("prj", projectId)) throw notFound("project");
	const found = await known.find(projectId, provider.id);
	if (found) return found;
	if (!(await ctx.stores.projects.find(projectId))) throw notFound("project");
	throw notConnected(provider);
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
	ctx: Pick<Context, "clock">,
	{ integration, signingSecrets }: KnownIntegration,
	input: Input,
): ReceivedEvent {
	const { provider, rawBody, headers, event } = input;
	const now = ctx.clock.now();
	const secrets = liveAt(signingSecrets, now);
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

/** Null when there is nothing to do: the event came before, or has no effect. */
async function store(
	ctx: Pick<Context, "stores">,
	{ integration: { id: integrationId }, version }: KnownIntegration,
	event: ReceivedEvent,
	rawBody: Buffer,
): Promise<IntegrationId | null | "changed"> {
	const [key, alternateKey] = [event.providerEventId, event.alternateEventId];
	try {
		const outcome = await ctx.stores.inbound.insert([
			{
				integrationId,
				version,
				providerEventId: shortened(key),
				alternateEventId: alternateKey === null || alternateKey === key ? null : shortened(alternateKey),
				type: event.type,
				state: event.state,
				document: JSON.stringify(event.document),
				bodyHash: hash("sha256", rawBody, "hex"),
				occurredAt: event.occurredAt,
			},
		]);
		if (outcome === "changed") return "changed";
		return outcome === "new" && event.state === "received" ? integrationId : null;
	} catch (error) {
		// A value that Postgres cannot hold is the body's fault: the platform's next try would bring it again.
		if (isValueRefused(error)) throw unreadable(error);
		throw error;
	}
}
