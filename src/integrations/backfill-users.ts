import { createHash } from "node:crypto";
import type { Context, Transaction } from "../context.ts";
import { AppError } from "../core/errors.ts";
import type { IntegrationId } from "../core/ids.ts";
import { numeral } from "../core/numeral.ts";
import type { NewEvent } from "../events/event.ts";
import type { JobRun, JobType, Settlement } from "../jobs/job-type.ts";
import { ProjectDatabaseError } from "../platform/project-db-errors.ts";
import type { Project } from "../projects/project.ts";
import { ProviderError } from "../providers/errors.ts";
import type { AuthProvider } from "../providers/provider.ts";
import {
	type AppliedChanges,
	applyUserChanges,
	type ChangeResult,
	type RequestedChange,
	rowChanges,
} from "../user-sync/apply-user-changes.ts";
import { deleteAbsentUsers } from "../user-sync/delete-absent-users.ts";
import { ensureAuthSchema } from "../user-sync/ensure-auth-schema.ts";
import { confirmInstance } from "./confirm-instance.ts";
import type { Integration } from "./integration.ts";
import type { EventView } from "./integration-event.ts";
import { integrationIdOf, loadTarget } from "./integration-job.ts";
import { callCredentials } from "./integration-secrets.ts";
import { noteFailure } from "./note-failure.ts";
import { otherProviders } from "./other-providers.ts";
import { readAhead } from "./read-ahead.ts";

/** What is written together at most: a commit and some questions for each would cost as much as its rows. */
const writtenUsersMax = 2_000;
const writtenBytesMax = 4 * 1024 * 1024;

/** Where a backfill stands; kept after each page. */
type Progress = {
	/** What the next page is asked for with; null before the first. */
	cursor: string | null;
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

/** Pages are read ahead of those that are written, and written as many together as have come. */
async function mirrorPages(
	ctx: Context,
	run: JobRun,
	provider: AuthProvider,
	start: Start,
): Promise<Progress> {
	const ended = new AbortController();
	const reading = { ...start, provider, signal: AbortSignal.any([run.signal, ended.signal]) };
	let { progress } = start;
	let ahead = readAhead(readPages(ctx, reading, progress.cursor), weigh);
	try {
		for (;;) {
			const pages = await ahead.take();
			const { integration, project } = await loadTarget(ctx, run.job);
			if (markOf(integration) !== progress.credentials) throw credentialsReplaced();
			const written = await writePages(ctx, provider, project, { pages, onSent: () => ahead.resume() });
			ahead.resume();
			Object.assign(reading, { integration, readAt: written.at ?? reading.readAt });
			if (written.wereMissing && progress.cursor !== null) {
				run.say("began again: tables or columns of capydb_auth had been dropped");
				progress = { ...fresh(integration), begunAt: reading.readAt.toISOString() };
				ahead.stop();
				ahead = readAhead(readPages(ctx, reading, null), weigh);
			} else {
				progress = advance(progress, pages, written.results);
				if (progress.cursor === null) return progress;
			}
			await run.saveProgress(progress);
		}
	} finally {
		ended.abort();
		ahead.stop();
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

type Page = { changes: RequestedChange[]; cursor: string | null; readAt: Date };

type Reading = {
	provider: AuthProvider;
	/** As it was when the last pages were written. */
	integration: Integration;
	/** The project database's time then. */
	readAt: Date;
	signal: AbortSignal;
};

/** The pages after `cursor`, ready to be written. Throws for a list that comes back to where it was. */
async function* readPages(
	ctx: Pick<Context, "vault" | "clock">,
	reading: Reading,
	after: string | null,
): AsyncGenerator<Page> {
	const { provider, signal } = reading;
	if (provider.listUsers === null) throw new Error(`${provider.id} has no list of users.`);
	let cursor = after;
	/** The cursor after the last page whose number is a power of two: a list that goes round meets it again. */
	let landmark: string | null = null;
	for (let number = 1; ; number += 1) {
		signal.throwIfAborted();
		const { integration, readAt } = reading;
		const page = await provider.listUsers(callCredentials(ctx, integration), cursor, {
			includePrivateMetadata: integration.config.includePrivateMetadata ?? false,
			signal,
		});
		if (page.cursor !== null && page.cursor === landmark) throw goesRound(provider);
		if (Number.isInteger(Math.log2(number))) landmark = page.cursor;
		// A provider that gives no time of change says what holds now.
		yield { changes: rowChanges(page.users, readAt), cursor: page.cursor, readAt };
		if (page.cursor === null) return;
		cursor = page.cursor;
	}
}

/** As a share of what is written together. */
function weigh({ changes }: Page): number {
	const bytes = changes.reduce((sum, { row }) => sum + (row?.length ?? 0), 0);
	return Math.max(changes.length / writtenUsersMax, bytes / writtenBytesMax);
}

async function writePages(
	ctx: Context,
	provider: AuthProvider,
	project: Project,
	{ pages, onSent }: { pages: readonly Page[]; onSent: () => void },
): Promise<AppliedChanges> {
	const changes = pages.flatMap((page) => page.changes);
	const others = await otherProviders(ctx, { projectId: project.id, provider: provider.id });
	// The earliest time serves for all: what was written later than that stays.
	const readAt = pages[0]?.readAt ?? null;
	const input = { project, provider, others, changes, readAt, newsSince: null, onSent };
	const written = await applyUserChanges(ctx, input);
	const refused = written.results.filter(({ outcome }) => outcome === "unwritable");
	if (changes.length > 0 && refused.length === written.results.length) {
		throw new ProjectDatabaseError("failed", "The project's database takes no rows into capydb_auth.users.");
	}
	return written;
}

function advance(progress: Progress, pages: readonly Page[], results: readonly ChangeResult[]): Progress {
	const count = (outcome: ChangeResult["outcome"]) =>
		results.filter((result) => result.outcome === outcome).length;
	return {
		...progress,
		cursor: pages.at(-1)?.cursor ?? null,
		count: pages.reduce((sum, { changes }) => sum + changes.length, progress.count),
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
