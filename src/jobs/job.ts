import type { Id, JobId, OrganizationId, ProjectId } from "../core/ids.ts";

export type JobState = "pending" | "running" | "completed" | "failed";

/** Why the last attempt failed, as far as it decides what comes next. */
export type RetryClassification = "transient" | "rate_limited" | "permanent";

/** The API's job: what customers poll. The queue's task only makes it run. */
export type Job = {
	id: JobId;
	organizationId: OrganizationId;
	/** Null for the job of an organization as a whole. */
	projectId: ProjectId | null;
	previewDatabaseId: Id<"pvw"> | null;
	clusterId: string | null;
	type: string;
	state: JobState;
	attempts: number;
	maxAttempts: number;
	claimedBy: string | null;
	claimId: string | null;
	claimedAt: Date | null;
	startedAt: Date | null;
	completedAt: Date | null;
	error: string | null;
	lastStdout: string | null;
	lastStderr: string | null;
	lastExitCode: number | null;
	lockedResource: string;
	retryClassification: RetryClassification | null;
	input: Record<string, unknown>;
	progress: Record<string, unknown>;
	createdAt: Date;
	updatedAt: Date;
};

/** The project of a job whose type always has one. */
export function projectIdOf({ id, type, projectId }: Job): ProjectId {
	if (projectId === null) throw new Error(`Job ${id} (${type}) is of no project.`);
	return projectId;
}
