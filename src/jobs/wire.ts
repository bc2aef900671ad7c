import { type Static, Type } from "@sinclair/typebox";
import { nullable, Timestamp } from "../http/wire.ts";
import type { Job } from "./job.ts";

export const JobWire = Type.Object({
	id: Type.String(),
	organization_id: Type.String(),
	project_id: nullable(Type.String()),
	preview_database_id: nullable(Type.String()),
	cluster_id: nullable(Type.String()),
	type: Type.String(),
	state: Type.Unsafe<Job["state"]>(Type.String({ enum: ["pending", "running", "completed", "failed"] })),
	attempts: Type.Integer(),
	max_attempts: Type.Integer(),
	claimed_by: nullable(Type.String()),
	claimed_at: nullable(Timestamp),
	started_at: nullable(Timestamp),
	completed_at: nullable(Timestamp),
	error: nullable(Type.String()),
	last_stdout: nullable(Type.String()),
	last_stderr: nullable(Type.String()),
	last_exit_code: nullable(Type.Integer()),
	locked_resource: Type.String(),
	retry_classification: nullable(Type.String()),
	created_at: Timestamp,
	updated_at: Timestamp,
});

export const JobAnswer = Type.Object({ job: JobWire });

export function toJobWire(job: Job): Static<typeof JobWire> {
	return {
		id: job.id,
		organization_id: job.organizationId,
		project_id: job.projectId,
		preview_database_id: job.previewDatabaseId,
		cluster_id: job.clusterId,
		type: job.type,
		state: job.state,
		attempts: job.attempts,
		max_attempts: job.maxAttempts,
		claimed_by: job.claimedBy,
		claimed_at: job.claimedAt?.toISOString() ?? null,
		started_at: job.startedAt?.toISOString() ?? null,
		completed_at: job.completedAt?.toISOString() ?? null,
		error: job.error,
		last_stdout: job.lastStdout,
		last_stderr: job.lastStderr,
		last_exit_code: job.lastExitCode,
		locked_resource: job.lockedResource,
		retry_classification: job.retryClassification,
		created_at: job.createdAt.toISOString(),
		updated_at: job.updatedAt.toISOString(),
	};
}
