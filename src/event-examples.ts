import type { toDeploymentWire } from "./deployments/wire.ts";
import type { toIntegrationWire } from "./integrations/wire.ts";
import type { toJobWire } from "./jobs/wire.ts";
import type { toPreviewWire } from "./previews/wire.ts";
import type { toProjectWire } from "./projects/wire.ts";
import type { toUserWire } from "./user-sync/wire.ts";

const at = "2026-01-31T12:00:00.000Z";
const organizationId = "org_01kg9v3v00e11s8000000000a1";
const projectId = "prj_01kg9v3v00e11s8000000000a2";
const endpointId = "whe_01kg9v3v00e11s8000000000a3";

/** What the resources in the examples of the event catalogue look like. */
export const job: ReturnType<typeof toJobWire> = {
	id: "job_01kg9v3v00e11s8000000000a4",
	organization_id: organizationId,
	project_id: projectId,
	preview_database_id: null,
	cluster_id: null,
	type: "integration.clerk_backfill",
	state: "completed",
	attempts: 1,
	max_attempts: 5,
	claimed_by: "server-1",
	claimed_at: at,
	started_at: at,
	completed_at: at,
	error: null,
	last_stdout: "backfilled 1,204 users",
	last_stderr: null,
	last_exit_code: 0,
	locked_resource: "integration:int_01kg9v3v00e11s8000000000a5",
	retry_classification: null,
	created_at: at,
	updated_at: at,
};

export const failedJob: typeof job = {
	...job,
	state: "failed",
	error: "The provider refused the credentials.",
	last_stderr: "The provider refused the credentials.",
	last_exit_code: 1,
	retry_classification: "permanent",
};

export const project: ReturnType<typeof toProjectWire> = {
	id: projectId,
	organization_id: organizationId,
	name: "Shop",
	slug: "shop",
	state: "ready",
	region: "self-hosted",
	plan: "self_hosted",
	environment: "production",
	always_on: true,
	postgres_version: 18,
	database_name: "shop",
	role_name: "shop",
	direct_port: 5432,
	pooled_port: null,
	public_host: "db.example.com",
	ssl_mode: "require",
	max_connections: null,
	storage_limit_bytes: null,
	last_error: null,
	created_at: at,
	updated_at: at,
};

export const preview: ReturnType<typeof toPreviewWire> = {
	id: "pvw_01kg9v3v00e11s8000000000a6",
	project_id: projectId,
	name: "branch-checkout",
	mode: "clone",
	state: "ready",
	database_name: "pvw_01kg9v3v00e11s8000000000a6",
	role_name: "pvw_01kg9v3v00e11s8000000000a6",
	direct_port: 5432,
	pooled_port: null,
	public_host: "db.example.com",
	ssl_mode: "require",
	last_error: null,
	ttl_expires_at: "2026-02-01T12:00:00.000Z",
	created_at: at,
	updated_at: at,
};

export const integration: ReturnType<typeof toIntegrationWire> = {
	id: "int_01kg9v3v00e11s8000000000a5",
	organization_id: organizationId,
	project_id: projectId,
	provider: "clerk",
	state: "active",
	external_id: null,
	has_credentials: true,
	config: {
		webhook_receiver: `https://integrations.example.com/v1/integrations/clerk/webhook/${projectId}`,
		last_synced_at: at,
		last_event_at: null,
		last_error: null,
		users_synced: 1204,
	},
	created_at: at,
	updated_at: at,
};

export const deployment: ReturnType<typeof toDeploymentWire> = {
	id: "dep_01kg9v3v00e11s8000000000a7",
	project_id: projectId,
	integration_id: "int_01kg9v3v00e11s8000000000a9",
	provider: "vercel",
	external_id: "dpl_2x",
	state: "ready",
	context: "preview",
	is_preview: true,
	branch: "checkout",
	commit_sha: "6dcb09b5b57875f334f61aebed695e2e4193db5e",
	commit_message: "Ask for the address first",
	commit_author: "ada",
	pull_request: 12,
	is_fork: false,
	url: "https://shop-checkout.example.app",
	inspect_url: null,
	error_code: null,
	preview_database_id: preview.id,
	last_error: null,
	started_at: at,
	ready_at: at,
	created_at: at,
	updated_at: at,
};

export const user: ReturnType<typeof toUserWire> = {
	id: "user_2x",
	provider: "clerk",
	email: "ada@example.org",
	first_name: "Ada",
	last_name: "Lovelace",
	username: null,
	image_url: null,
	created_at: at,
	updated_at: at,
	last_sign_in_at: null,
	deleted_at: null,
	raw: { id: "user_2x" },
};

export const failedEndpoint = {
	endpoint_id: endpointId,
	url: "https://example.com/hooks",
	name: "Orders",
};

/** An event's envelope, as a receiver gets it. */
export function envelope(type: string, data: unknown): Record<string, unknown> {
	return { id: "evt_01kg9v3v00e11s8000000000a8", type, created_at: at, data };
}
