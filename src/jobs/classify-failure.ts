import { AppError } from "../core/errors.ts";
import { PostgresToolError } from "../platform/postgres-tools-errors.ts";
import { ProjectDatabaseError } from "../platform/project-db-errors.ts";
import { ProviderError } from "../providers/errors.ts";
import type { RetryClassification } from "./job.ts";
import { scrub } from "./step-log.ts";

export type Failure = {
	classification: RetryClassification;
	/** For the customer. */
	sentence: string;
	exitCode: number;
	/** For the job's `last_stderr`. */
	stderr: string;
	/** How long the other side asked us to wait; null when it did not. */
	waitSeconds: number | null;
};

/** What a failed attempt means for the job: whether it is tried again, when, and what the customer reads. */
export function classifyFailure(error: unknown): Failure {
	if (error instanceof ProviderError) return fromProvider(error);
	if (error instanceof ProjectDatabaseError) {
		const isLasting = error.reason === "authentication_failed" || error.reason === "missing_privilege";
		return failure(isLasting ? "permanent" : "transient", error.message);
	}
	if (error instanceof PostgresToolError) {
		const { exitCode, complaints } = error;
		const stderr = complaints.length === 0 ? error.message : complaints.join("\n");
		return {
			...failure(error.isPassing ? "transient" : "permanent", error.message),
			exitCode,
			stderr: scrub(stderr),
		};
	}
	if (error instanceof AppError && error.kind !== "internal") {
		const isPassing =
			error.kind === "unavailable" || error.kind === "upstream" || error.kind === "rate_limited";
		return failure(isPassing ? "transient" : "permanent", error.message, error.retryAfterSeconds ?? null);
	}
	return failure("transient", "Something went wrong on our side.");
}

function fromProvider(error: ProviderError): Failure {
	switch (error.reason) {
		case "rate_limited":
			return failure("rate_limited", error.message, error.retryAfterSeconds ?? 10);
		case "unavailable":
		case "unexpected_answer":
			return failure("transient", error.message);
		default:
			return failure("permanent", error.message);
	}
}

function failure(
	classification: RetryClassification,
	sentence: string,
	waitSeconds: number | null = null,
): Failure {
	const told = scrub(sentence);
	return { classification, sentence: told, exitCode: 1, stderr: told, waitSeconds };
}
