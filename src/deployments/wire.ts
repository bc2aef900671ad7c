import { type Static, Type } from "@sinclair/typebox";
import { nextCursor, nullable, Timestamp } from "../http/wire.ts";
import type { Deployment } from "./deployment.ts";

export const DeploymentWire = Type.Object({
	id: Type.String(),
	project_id: Type.String(),
	integration_id: Type.String(),
	provider: Type.String(),
	external_id: Type.String({ description: "The platform's own id." }),
	state: Type.Unsafe<Deployment["state"]>(
		Type.String({ enum: ["created", "building", "ready", "failed", "canceled", "promoted"] }),
	),
	context: Type.String({ description: "The platform's word for what it was built for." }),
	is_preview: Type.Boolean(),
	branch: nullable(Type.String()),
	commit_sha: nullable(Type.String()),
	commit_message: nullable(Type.String()),
	commit_author: nullable(Type.String()),
	pull_request: nullable(Type.Integer()),
	is_fork: nullable(Type.Boolean({ description: "Null where the platform does not say." })),
	url: nullable(Type.String()),
	inspect_url: nullable(Type.String()),
	error_code: nullable(Type.String({ description: "The platform's own code of a failure." })),
	preview_database_id: nullable(Type.String({ description: "The database of its branch." })),
	last_error: nullable(
		Type.String({ description: "Why it has no database, or not the variables that name it." }),
	),
	started_at: Timestamp,
	ready_at: nullable(Timestamp),
	created_at: Timestamp,
	updated_at: Timestamp,
});

export const DeploymentsAnswer = Type.Object({
	deployments: Type.Array(DeploymentWire),
	next_cursor: nextCursor,
});

export function toDeploymentWire(deployment: Deployment): Static<typeof DeploymentWire> {
	return {
		id: deployment.id,
		project_id: deployment.projectId,
		integration_id: deployment.integrationId,
		provider: deployment.provider,
		external_id: deployment.externalId,
		state: deployment.state,
		context: deployment.context,
		is_preview: deployment.isPreview,
		branch: deployment.branch,
		commit_sha: deployment.commitSha,
		commit_message: deployment.commitMessage,
		commit_author: deployment.commitAuthor,
		pull_request: deployment.pullRequest,
		is_fork: deployment.isFork,
		url: deployment.url,
		inspect_url: deployment.inspectUrl,
		error_code: deployment.errorCode,
		preview_database_id: deployment.previewDatabaseId,
		last_error: deployment.lastError,
		started_at: deployment.startedAt.toISOString(),
		ready_at: deployment.readyAt?.toISOString() ?? null,
		created_at: deployment.createdAt.toISOString(),
		updated_at: deployment.updatedAt.toISOString(),
	};
}
