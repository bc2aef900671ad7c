import { hash } from "node:crypto";
import type { Context } from "../context.ts";
import { AppError, notFound } from "../core/errors.ts";
import { type IntegrationId, isId } from "../core/ids.ts";
import { type Integration, isOfInstance } from "../integrations/integration.ts";
import { liveSigningSecrets } from "../integrations/integration-secrets.ts";
import { isValueRefused } from "../platform/db-errors.ts";
import type { AuthProvider, InboundEvent, WebhookHeaders } from "../providers/provider.ts";
import { signatureRefused, unavailable, unreadable } from "./errors.ts";
import { shortened } from "./event-key.ts";
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

const noSecretSeconds = 30;

/**
 * Verifies a provider's webhook over its raw bytes and stores its events, each once for each id of the provider's.
 * Their effect comes later. Returns the integration that has something new to do, or null. Throws what the provider
 * is to be answered: 404 for an unknown project or integration, 401 for a missing or bad signature, 400 for a body
 * that cannot be read, and 503 for our own trouble and wherever a refusal would be final.
 */
export async function receiveWebhook(
	ctx: Pick<Context, "stores" | "vault" | "clock">,
	rejections: RejectionRecorder,
	input: Input,
): Promise<IntegrationId | null> {
	const integration = await findIntegration(ctx, input);
	if (integration.state === "disabled") return null;
	try {
		const events = verify(ctx, integration, input);
		return (await store(ctx, integration, events, input.rawBody)) ? integration.id : null;
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

function verify(
	ctx: Pick<Context, "vault" | "clock">,
	integration: Integration,
	input: Input,
): InboundEvent[] {
	const { provider, rawBody, headers } = input;
	const now = ctx.clock.now();
	const secrets = liveSigningSecrets(ctx.vault, integration, now);
	if (secrets.length === 0) throw noSecret(provider);
	const verdict = provider.verifyWebhook({ rawBody, headers, secrets, now });
	if (verdict !== "genuine") throw signatureRefused(verdict);
	const includePrivateMetadata = integration.config.includePrivateMetadata ?? false;
	const events = provider.readWebhook(rawBody, headers, { includePrivateMetadata });
	if (!events) throw unreadable();
	if (!events.every(({ instance }) => instance === null || isOfInstance(integration, instance))) {
		const sentence = "The webhook is from another instance than the one that is connected.";
		throw new AppError("unauthenticated", "webhook.wrong_instance", sentence);
	}
	return events;
}

function noSecret({ refusalsAreFinal }: AuthProvider): AppError {
	const sentence = "No webhook signing secret is configured for this integration.";
	if (!refusalsAreFinal) return new AppError("unauthenticated", "webhook.no_secret", sentence);
	return new AppError("unavailable", "webhook.no_secret", sentence, { retryAfterSeconds: noSecretSeconds });
}

/** False when all of the events came before. */
async function store(
	ctx: Pick<Context, "stores" | "clock">,
	integration: Integration,
	events: readonly InboundEvent[],
	rawBody: Buffer,
): Promise<boolean> {
	const bodyHash = hash("sha256", rawBody, "hex");
	const webhooks = events.map((event) => ({
		integrationId: integration.id,
		version: null,
		providerEventId: shortened(event.providerEventId),
		alternateEventId: null,
		type: event.type,
		state: "received" as const,
		document: JSON.stringify(event.document),
		bodyHash,
		// One that tells no time counts as having happened when it came.
		occurredAt: event.occurredAt ?? ctx.clock.now(),
	}));
	try {
		const outcome = await ctx.stores.inbound.insert(webhooks);
		// Disconnected between reading and storing: the provider's next try is told so.
		if (outcome === "changed") throw unavailable();
		return outcome === "new";
	} catch (error) {
		// A value that Postgres cannot hold is the body's fault: the provider's next try would bring it again.
		if (isValueRefused(error)) throw unreadable(error);
		throw error;
	}
}
