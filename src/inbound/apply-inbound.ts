import type { Context } from "../context.ts";
import { AppError } from "../core/errors.ts";
import { exhaustive } from "../core/exhaustive.ts";
import type { IntegrationId } from "../core/ids.ts";
import { traced } from "../core/tracing.ts";
import type { NewEvent } from "../events/event.ts";
import { publishEvents } from "../events/publish-events.ts";
import { activateIntegration } from "../integrations/activate-integration.ts";
import { refillUsers } from "../integrations/enqueue-backfill.ts";
import type { Integration } from "../integrations/integration.ts";
import { otherProviders } from "../integrations/other-providers.ts";
import { ProjectDatabaseError } from "../platform/project-db-errors.ts";
import type { Project } from "../projects/project.ts";
import { ProviderError } from "../providers/errors.ts";
import type { AuthProvider } from "../providers/provider.ts";
import {
	applyUserChanges,
	type ChangeResult,
	type RequestedChange,
} from "../user-sync/apply-user-changes.ts";
import { ensureAuthSchema } from "../user-sync/ensure-auth-schema.ts";
import { userEvent } from "../user-sync/user-event.ts";
import { applyDeploymentEvents } from "./apply-deployment-events.ts";
import { applySpan } from "./apply-span.ts";
import { type InboundWebhook, runOf } from "./inbound-webhook.ts";
import { type Reading, readChanges } from "./read-changes.ts";
import type { InboundOutcome } from "./store.ts";

type Input = { integrationId: IntegrationId; signal: AbortSignal };

const batchSize = 200;
const backoffSecondsMax = 60;

/**
 * Lets an integration's received webhooks take effect, oldest first, and announces what they changed: deployments in
 * our own rows, users in the project's database. While that database is away they wait, and this runs again later.
 * Safe to run twice and to be killed anywhere: nothing is lost and nothing is announced twice.
 */
export async function applyInbound(ctx: Context, { integrationId, signal }: Input): Promise<void> {
	const integration = await ctx.stores.integrations.find(integrationId);
	if (!integration || integration.deletedAt) return ctx.stores.inbound.ignoreWaiting(integrationId);
	const provider = ctx.providers.deployment.find(({ id }) => id === integration.provider);
	if (provider) return applyDeploymentEvents(ctx, { integration, provider }, signal);
	const target = await findTarget(ctx, integration);
	if (!target) return ctx.stores.inbound.ignoreWaiting(integrationId);
	return applyUserEvents(ctx, target, signal);
}

type Target = { integration: Integration; project: Project; provider: AuthProvider };

/** Null when the project or the provider is gone: then nothing can take effect any more. */
async function findTarget(
	ctx: Pick<Context, "stores" | "providers">,
	integration: Integration,
): Promise<Target | null> {
	const provider = ctx.providers.auth.find((each) => each.id === integration.provider);
	const project = await ctx.stores.projects.find(integration.projectId);
	return provider && project ? { integration, project, provider } : null;
}

async function applyUserEvents(ctx: Context, target: Target, signal: AbortSignal): Promise<void> {
	const { integration } = target;
	const { id: integrationId } = integration;
	try {
		await ensureReady(ctx, target);
		while (!signal.aborted) {
			const webhooks = await ctx.stores.inbound.listWaiting(integrationId, batchSize);
			if (webhooks.length === 0) break;
			await traced(
				ctx.tracing,
				() => applySpan(webhooks),
				() => applyBatch(ctx, target, webhooks, signal),
			);
		}
		// The rest is for another process.
		if (signal.aborted)
			await ctx.tasks.send("inbound.apply", { integrationId }, { singletonKey: integrationId });
		if (integration.status.applyError !== undefined) {
			await ctx.stores.integrations.report(integrationId, { drop: ["applyError", "applyFailures"] });
		}
	} catch (error) {
		if (!isTroubleOutside(error)) throw error;
		await postpone(ctx, integration, error);
	}
}

async function ensureReady(ctx: Context, { integration, project }: Target): Promise<void> {
	if (integration.status.schemaReadyAt !== undefined) return;
	await ensureAuthSchema(ctx, project);
	await activateIntegration(ctx, integration.id);
}

async function applyBatch(
	ctx: Context,
	target: Target,
	webhooks: readonly InboundWebhook[],
	signal: AbortSignal,
): Promise<void> {
	const read = await readChanges(ctx, { ...target, webhooks, signal });
	const changes = read.flatMap(({ webhook, reading }): RequestedChange[] =>
		reading.kind === "change" ? [{ change: reading.change, eventId: runOf(webhook) }] : [],
	);
	const { project, provider } = target;
	const others = await otherProviders(ctx, target.integration);
	const newsSince = target.integration.createdAt;
	const input = { project, provider, others, changes, readAt: null, newsSince };
	const applied = await applyUserChanges(ctx, input);
	const { results } = applied;
	// What the customer dropped is more than these changes bring back.
	if (applied.wereMissing) {
		await ctx.transaction((tx) => refillUsers(ctx.providers, tx, target.integration.id));
	}
	const positions = new Map(results.map(({ eventId }, position) => [eventId, position]));
	const settlements = read.map(({ webhook, reading }) => {
		const position = positions.get(runOf(webhook)) ?? results.length;
		const result = results[position] ?? null;
		return { webhook, position, result, outcome: outcomeOf(webhook, reading, result) };
	});
	// Announced in the order in which they took effect, which need not be that in which they came.
	await settle(
		ctx,
		target,
		settlements.toSorted((left, right) => left.position - right.position),
	);
}

function outcomeOf(webhook: InboundWebhook, reading: Reading, result: ChangeResult | null): InboundOutcome {
	const { id, processedAt } = webhook;
	const ended = (state: InboundOutcome["state"], error: string | null = null) => ({
		id,
		processedAt,
		state,
		error,
	});
	if (reading.kind === "unrelated") return ended("ignored");
	if (reading.kind === "incomplete") return ended(reading.state, reading.why);
	if (reading.kind === "unreadable" || result === null)
		return ended("failed", "The event could not be read.");
	switch (result.outcome) {
		case "changed":
		case "unchanged":
			return ended("processed");
		case "outdated":
			return ended("ignored");
		case "held":
			return ended("failed", "The user's id is held by another provider of this project.");
		case "unwritable":
			return ended("failed", "The project's database refused the user's row.");
		default:
			return exhaustive(result);
	}
}

type Settlement = { webhook: InboundWebhook; result: ChangeResult | null; outcome: InboundOutcome };

/** Rows, events and report, together: what another run has settled meanwhile is not announced again. */
async function settle(ctx: Context, target: Target, settlements: readonly Settlement[]): Promise<void> {
	const { id } = target.integration;
	await ctx.transaction(async (tx) => {
		const outcomes = settlements.map(({ outcome }) => outcome);
		const settled = await tx.stores.inbound.settle(id, outcomes);
		const ours = settlements.filter(({ webhook }) => settled.has(webhook.id));
		const events = ours.flatMap(({ result }) => announcement(target, result) ?? []);
		if (events.length > 0) await publishEvents(tx, events);
		const count = (outcome: ChangeResult["outcome"]) =>
			ours.filter(({ result }) => result?.outcome === outcome).length;
		const [held, refused] = [count("held"), count("unwritable")];
		if (held > 0) await tx.stores.integrations.countChanges(id, "heldChanges", held);
		if (refused > 0) await tx.stores.integrations.countChanges(id, "refusedChanges", refused);
		await tx.stores.integrations.report(id, {
			set: { lastEventAt: lastReceivedAt(settlements).toISOString() },
		});
	});
}

function announcement({ project, provider }: Target, result: ChangeResult | null): NewEvent | null {
	if (result?.outcome !== "changed") return null;
	return { ...userEvent(project, provider.id, result), idempotencyKey: `inbound:${result.eventId}` };
}

function lastReceivedAt(settlements: readonly Settlement[]): Date {
	return new Date(Math.max(...settlements.map(({ webhook }) => webhook.receivedAt.getTime())));
}

/** Trouble that passes, or that the customer can end: the webhooks wait. */
function isTroubleOutside(error: unknown): error is Error {
	if (error instanceof ProjectDatabaseError || error instanceof ProviderError) return true;
	return error instanceof AppError && error.kind !== "internal";
}

async function postpone(ctx: Context, integration: Integration, error: Error): Promise<void> {
	const applyFailures = (integration.status.applyFailures ?? 0) + 1;
	const askedSeconds = error instanceof ProviderError ? (error.retryAfterSeconds ?? 0) : 0;
	const waitSeconds = Math.max(Math.min(2 ** Math.min(applyFailures, 10), backoffSecondsMax), askedSeconds);
	ctx.log.warn(
		{ integration_id: integration.id, wait_seconds: waitSeconds, err: error },
		"webhooks have to wait",
	);
	// What a webhook or the sweep sent while this ran would else begin at once, and so on after each failure.
	const options = { startAfterSeconds: waitSeconds, singletonKey: integration.id, movesWaiting: true };
	// Together, so that whoever sees the error and mends it finds the task, and can have it run at once.
	await ctx.transaction(async (tx) => {
		await tx.stores.integrations.report(integration.id, {
			set: { applyError: error.message, applyFailures },
		});
		await tx.tasks.send("inbound.apply", { integrationId: integration.id }, options);
	});
}
