import { createHash } from "node:crypto";
import type { Context, Transaction } from "../context.ts";
import { AppError } from "../core/errors.ts";
import type { IntegrationId } from "../core/ids.ts";
import type { NewEvent } from "../events/event.ts";
import type { JobRun, JobType, Settlement } from "../jobs/job-type.ts";
import { ProjectDatabaseError } from "../platform/project-db-errors.ts";
import type { Project } from "../projects/project.ts";
import { ProviderError } from "../providers/errors.ts";
import type { AuthProvider, ExternalUser, UserPage } from "../providers/provider.ts";
import { type AppliedChanges, applyUserChanges, type ChangeResult } from "../user-sync/apply-user-changes.ts";
import { deleteAbsentUsers } from "../user-sync/delete-absent-users.ts";
import { ensureAuthSchema } from "../user-sync/ensure-auth-schema.ts";
import { confirmInstance } from "./confirm-instance.ts";
import type { Integration } from "./integration.ts";
import type { EventView } from "./integration-event.ts";
import { integrationIdOf, loadTarget, numeral } from "./integration-job.ts";
import { callCredentials } from "./integration-secrets.ts";
import { noteFailure } from "./note-failure.ts";
import { otherProviders } from "./other-providers.ts";

/** Where a backfill stands; kept after each page. */
type Progress = {
	/** What the next page is asked for with; null before the first. */
	cursor: string | null;
	pages: number;
	/** The cursor after the last page whose number was a power of two: a list that goes round meets it again. */
	landmark: string | null;
	count: number;
	held: number;
	unwritable: number;
	/** The project database's time before the first user was read; null until then. */
	begunAt: string | null;
	/** Marks the sealed credentials that it began with: with others it begins again. */
	credentials: string;
};

/**
 * Mirrors all users of an auth provider into `capydb_auth.users`, page by page, and goes on from the last page
 * after a crash. What a webhook wrote since a page was read stays. Publishes no user events.
 */
export function backfillUsers(view: EventView, provider: AuthProvider): JobType {
	return {
		run: (ctx, run) => backfill(ctx, run, provider),
		failed: (tx, job, sentence) => noteFailure(tx, view, integrationIdOf(job), sentence),
	};
}

async function backfill(ctx: Context, run: JobRun, provider: AuthProvider): Promise<Settlement> {
	const { integration, project } = await loadTarget(ctx, run.job);
	let progress = readProgress(run.job.progress, integration);
	if (progress.cursor === null) {
		run.say(`validated project ${oneLine(project.name)} (${project.id})`);
		await confirmInstance(ctx, provider, integration);
	} else run.say(`went on after ${numeral(progress.count)} users`);
	const schema = await ensureAuthSchema(ctx, project);
	if (schema.wasMissing) progress = fresh(integration);
	const schemaReadyAt = schema.at.toISOString();
	progress.begunAt ??= schemaReadyAt;
	await ctx.stores.integrations.report(integration.id, { set: { schemaReadyAt } });
	const done = await mirrorPages(ctx, run, provider, { integration, progress, readAt: schema.at });
	report(run, done);
	await sweepAbsent(ctx, run, provider, done);
	return (tx) => settle(tx, integration.id, done);
}

type Start = { integration: Integration; progress: Progress; readAt: Date };

/** Each page is asked for while the one before is written: neither side waits for the other. */
async function mirrorPages(
	ctx: Context,
	run: JobRun,
	provider: AuthProvider,
	start: Start,
): Promise<Progress> {
	const ended = new AbortController();
	const signal = AbortSignal.any([run.signal, ended.signal]);
	const ask = (integration: Integration, cursor: string | null, readAt: Date) => {
		const page = readPage(ctx, { provider, integration, cursor, signal });
		// Awaited below, unless something else fails first.
		page.catch(() => undefined);
		return { page, readAt };
	};
	let { progress, readAt } = start;
	let asked = ask(start.integration, progress.cursor, readAt);
	try {
		for (;;) {
			const { integration, project } = await loadTarget(ctx, run.job);
			if (markOf(integration) !== progress.credentials) throw credentialsReplaced();
			const [page, pageReadAt] = [await asked.page, asked.readAt];
			if (page.cursor !== null) asked = ask(integration, page.cursor, readAt);
			const written = await writePage(ctx, provider, project, page.users, pageReadAt);
			readAt = written.at ?? readAt;
			if (written.wereMissing && progress.cursor !== null) {
				run.say("began again: tables or columns of capydb_auth had been dropped");
				progress = { ...fresh(integration), begunAt: readAt.toISOString() };
				asked = ask(integration, null, readAt);
			} else {
				if (page.cursor !== null && page.cursor === progress.landmark) throw goesRound(provider);
				progress = advance(progress, page, written.results);
				if (page.cursor === null) return progress;
			}
			await run.saveProgress(progress);
		}
	} finally {
		ended.abort();
	}
}

/** What is missing in a complete list is gone at the provider. */
async function sweepAbsent(
	ctx: Context,
	run: JobRun,
	provider: AuthProvider,
	{ begunAt, unwritable }: Progress,
): Promise<void> {
	const { project } = await loadTarget(ctx, run.job);
	if (begunAt === null) return;
	if (unwritable > 0) {
		run.say("did not look for users that are gone, because rows were refused");
		return;
	}
	const seenSince = new Date(Date.parse(begunAt) - provider.listLagMs);
	const input = { project, provider: provider.id, begunAt: seenSince };
	const deleted = await deleteAbsentUsers(ctx, input);
	if (deleted > 0) {
		run.say(`soft-deleted ${numeral(deleted)} users that ${provider.displayName} no longer has`);
	}
}

async function readPage(
	ctx: Pick<Context, "vault" | "clock">,
	input: { provider: AuthProvider; integration: Integration; cursor: string | null; signal: AbortSignal },
): Promise<UserPage> {
	const { provider, integration, cursor, signal } = input;
	if (provider.listUsers === null) throw new Error(`${provider.id} has no list of users.`);
	signal.throwIfAborted();
	return provider.listUsers(callCredentials(ctx, integration), cursor, {
		includePrivateMetadata: integration.config.includePrivateMetadata ?? false,
		signal,
	});
}

async function writePage(
	ctx: Context,
	provider: AuthProvider,
	project: Project,
	users: readonly ExternalUser[],
	readAt: Date,
): Promise<AppliedChanges> {
	const changes = users.map((user) => ({
		// A provider that gives no time of change says what holds now.
		change: { kind: "updated" as const, user, version: user.updatedAt ?? readAt },
		eventId: null,
	}));
	const others = await otherProviders(ctx, { projectId: project.id, provider: provider.id });
	const written = await applyUserChanges(ctx, { project, provider, others, changes, readAt });
	const refused = written.results.filter(({ outcome }) => outcome === "unwritable");
	if (users.length > 0 && refused.length === written.results.length) {
		throw new ProjectDatabaseError("failed", "The project's database takes no rows into capydb_auth.users.");
	}
	return written;
}

function advance(progress: Progress, page: UserPage, results: readonly ChangeResult[]): Progress {
	const count = (outcome: ChangeResult["outcome"]) =>
		results.filter((result) => result.outcome === outcome).length;
	const pages = progress.pages + 1;
	return {
		...progress,
		cursor: page.cursor,
		pages,
		landmark: Number.isInteger(Math.log2(pages)) ? page.cursor : progress.landmark,
		count: progress.count + page.users.length,
		held: progress.held + count("held"),
		unwritable: progress.unwritable + count("unwritable"),
	};
}

function report(run: JobRun, progress: Progress): void {
	run.say(`backfilled ${numeral(progress.count - progress.held - progress.unwritable)} users`);
	for (const sentence of refusals(progress)) run.say(sentence);
}

function refusals({ held, unwritable }: Progress): string[] {
	return [
		held === 0
			? []
			: [`${numeral(held)} users were left out: another provider of this project holds their ids`],
		unwritable === 0
			? []
			: [`${numeral(unwritable)} users were left out: the project's database refused their rows`],
	].flat();
}

async function settle(tx: Transaction, id: IntegrationId, progress: Progress): Promise<NewEvent[]> {
	const integration = await tx.stores.integrations.findForUpdate(id);
	if (!integration || integration.deletedAt) return [];
	if (markOf(integration) !== progress.credentials) throw credentialsReplaced();
	const refused = refusals(progress).join("; ");
	await tx.stores.integrations.report(id, {
		drop: ["lastError", "heldChanges", "refusedChanges"],
		set: {
			lastSyncedAt: tx.clock.now().toISOString(),
			usersSynced: progress.count - progress.held - progress.unwritable,
			usersLeftOut: progress.held + progress.unwritable,
			...(refused === "" ? {} : { lastError: `${refused}.` }),
		},
	});
	if (integration.state !== "disabled" && integration.state !== "active") {
		await tx.stores.integrations.update(id, { state: "active" });
	}
	return [];
}

function readProgress(saved: Record<string, unknown>, integration: Integration): Progress {
	// Only `advance` wrote it.
	if (saved.credentials === markOf(integration)) return saved as Progress;
	return fresh(integration);
}

function fresh(integration: Integration): Progress {
	const credentials = markOf(integration);
	return {
		cursor: null,
		pages: 0,
		landmark: null,
		count: 0,
		held: 0,
		unwritable: 0,
		begunAt: null,
		credentials,
	};
}

/** Of the sealed text, which holds a random nonce: tells nothing of the credentials. */
function markOf(integration: Integration): string {
	return createHash("sha256")
		.update(integration.credentials ?? "")
		.digest("hex")
		.slice(0, 16);
}

function goesRound({ displayName }: AuthProvider): ProviderError {
	const sentence = `${displayName}'s list of users has no end: it comes back to where it was.`;
	return new ProviderError("unexpected_answer", sentence, { provider: displayName });
}

function credentialsReplaced(): AppError {
	const sentence =
		"The credentials were replaced while users were being read; starting again with the new ones.";
	return new AppError("unavailable", "integration.credentials_replaced", sentence, { retryAfterSeconds: 1 });
}

function oneLine(text: string): string {
	return text.replace(/\p{C}+/gu, " ");
}
