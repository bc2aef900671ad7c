import { createHash } from "node:crypto";
import type { Context } from "../context.ts";
import { AppError, notFound } from "../core/errors.ts";
import { exhaustive } from "../core/exhaustive.ts";
import { type IntegrationId, isId, newId } from "../core/ids.ts";
import type { Integration } from "../integrations/integration.ts";
import { liveSigningSecrets } from "../integrations/integration-secrets.ts";
import { sqlState } from "../platform/db-errors.ts";
import type { AuthProvider, InboundEvent, WebhookHeaders, WebhookVerdict } from "../providers/provider.ts";
import type { RejectionRecorder } from "./rejection-recorder.ts";

type Input = {
	provider: AuthProvider;
	/** As it stands in the path. */
	projectId: string;
	rawBody: Buffer;
	headers: WebhookHeaders;
	/** Of the caller. */
	address: string;
};

const eventIdLengthMax = 255;

/**
 * Verifies a provider's webhook over its raw bytes and stores it, once for each id of the provider's. Its effect
 * comes later. Returns the integration that has something new to do, or null. Throws what the provider is to be
 * answered (contract §4, Inbound): 404, 401, 400.
 */
export async function receiveWebhook(
	ctx: Pick<Context, "stores" | "vault" | "clock">,
	rejections: RejectionRecorder,
	input: Input,
): Promise<IntegrationId | null> {
	const integration = await findIntegration(ctx, input);
	if (integration.state === "disabled") return null;
	try {
		const event = verify(ctx, integration, input);
		return (await store(ctx, integration, event, input.rawBody)) ? integration.id : null;
	} catch (error) {
		if (error instanceof AppError)
			rejections.record(integration, { reason: error.code, address: input.address });
		throw error;
	}
}

async function findIntegration(ctx: Pick<Context, "stores">, input: Input): Promise<Integration> {
	const { projectId, provider } = input;
	const found = isId("prj", projectId)
		? await ctx.stores.integrations.findByProvider(projectId, provider.id)
		: null;
	if (!found) throw notFound("integration");
	return found;
}

function verify(ctx: Pick<Context, "vault" | "clock">, integration: Integration, input: Input): InboundEvent {
	const { provider, rawBody, headers } = input;
	const now = ctx.clock.now();
	const secrets = liveSigningSecrets(ctx.vault, integration, now);
	if (secrets.length === 0) {
		const sentence = "No webhook signing secret is configured for this integration.";
		throw new AppError("unauthenticated", "webhook.no_secret", sentence);
	}
	const verdict = provider.verifyWebhook({ rawBody, headers, secrets, now });
	if (verdict !== "genuine") throw refusal(verdict);
	const includePrivateMetadata = integration.config.includePrivateMetadata ?? false;
	const event = provider.readWebhook(rawBody, headers, { includePrivateMetadata });
	if (!event) throw unreadable();
	const isOfOther =
		integration.externalId !== null && event.instance !== null && event.instance !== integration.externalId;
	if (isOfOther) {
		const sentence = "The webhook is from another instance than the one that is connected.";
		throw new AppError("unauthenticated", "webhook.wrong_instance", sentence);
	}
	return event;
}

function refusal(verdict: Exclude<WebhookVerdict, "genuine">): AppError {
	switch (verdict) {
		case "missing_signature":
			return new AppError(
				"unauthenticated",
				"webhook.missing_signature",
				"The webhook carries no signature.",
			);
		case "bad_signature":
			return new AppError(
				"unauthenticated",
				"webhook.bad_signature",
				"The webhook's signature is not right.",
			);
		case "stale":
			return new AppError(
				"unauthenticated",
				"webhook.stale",
				"The webhook was signed more than five minutes from now.",
			);
		case "malformed":
			return unreadable();
		default:
			return exhaustive(verdict);
	}
}

function unreadable(cause?: unknown): AppError {
	const sentence = "The body is not what this provider sends.";
	return new AppError("invalid", "webhook.unreadable", sentence, cause === undefined ? {} : { cause });
}

/** False when the event came before. */
async function store(
	ctx: Pick<Context, "stores">,
	integration: Integration,
	event: InboundEvent,
	rawBody: Buffer,
): Promise<boolean> {
	try {
		return await ctx.stores.inbound.insert({
			id: newId("inb"),
			organizationId: integration.organizationId,
			projectId: integration.projectId,
			integrationId: integration.id,
			provider: integration.provider,
			providerEventId: shortened(event.providerEventId),
			type: event.type,
			document: event.document,
			bodyHash: createHash("sha256").update(rawBody).digest(),
			occurredAt: event.occurredAt,
		});
	} catch (error) {
		// A value that Postgres cannot hold is the body's fault: the provider's next try would bring it again.
		if (/^(22|54)/.test(sqlState(error) ?? "")) throw unreadable(error);
		throw error;
	}
}

/** A key of any length fits into the index. */
function shortened(providerEventId: string): string {
	if (providerEventId.length <= eventIdLengthMax) return providerEventId;
	return `sha256:${createHash("sha256").update(providerEventId).digest("hex")}`;
}
