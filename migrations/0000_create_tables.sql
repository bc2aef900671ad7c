-- The clock of record. Tests replace it to move time; nothing else does.
CREATE FUNCTION clock_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT pg_catalog.now()';
--> statement-breakpoint
-- UUIDv7 (RFC 9562 5.7) for rows that a statement makes by itself; Postgres has one of its own from 18 on.
CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
	SELECT encode(set_bit(set_bit(overlay(
		uuid_send(gen_random_uuid())
		placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
		from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid,
	"name" text NOT NULL,
	"key_prefix" text NOT NULL,
	"key_hash" "bytea" NOT NULL,
	"scopes" text[] NOT NULL,
	"source" text NOT NULL,
	"device_name" text,
	"created_by_user_id" text,
	"expires_at" timestamp (3) with time zone,
	"last_used_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	CONSTRAINT "api_keys_key_hash_key" UNIQUE("key_hash")
);
--> statement-breakpoint
CREATE TABLE "audit_events" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid,
	"action" text NOT NULL,
	"actor_kind" text NOT NULL,
	"actor_id" text,
	"metadata" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "deliveries" (
	"id" uuid NOT NULL,
	"organization_id" uuid NOT NULL,
	"endpoint_id" uuid NOT NULL,
	"event_id" uuid NOT NULL,
	"event_type" text NOT NULL,
	"origin" text NOT NULL,
	"state" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"max_attempts" integer NOT NULL,
	"next_attempt_at" timestamp (3) with time zone,
	"claim_id" uuid,
	"lease_until" timestamp (3) with time zone,
	"response_status" integer,
	"error_code" text,
	"last_error" text,
	"delivered_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "deliveries_organization_id_id_pk" PRIMARY KEY("organization_id","id")
) PARTITION BY RANGE ("id");
--> statement-breakpoint
CREATE TABLE "deliveries_by_hand" (
	"endpoint_id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"asked_at" timestamp (3) with time zone[] NOT NULL
);
--> statement-breakpoint
CREATE TABLE "delivery_attempts" (
	"id" uuid NOT NULL,
	"organization_id" uuid NOT NULL,
	"endpoint_id" uuid NOT NULL,
	"delivery_id" uuid NOT NULL,
	"number" integer NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"duration_ms" integer NOT NULL,
	"response_status" integer,
	"error_code" text,
	"error" text,
	"response_headers" jsonb,
	"response_body" text,
	CONSTRAINT "delivery_attempts_organization_id_id_pk" PRIMARY KEY("organization_id","id")
) PARTITION BY RANGE ("id");
--> statement-breakpoint
CREATE TABLE "delivery_exhaustions" (
	"endpoint_id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"count" integer NOT NULL,
	"first_delivery_id" uuid NOT NULL,
	"last_delivery_id" uuid NOT NULL,
	"told_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "delivery_lanes" (
	"endpoint_id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"due_at" timestamp (3) with time zone,
	"served_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
) WITH (fillfactor = 50);
--> statement-breakpoint
CREATE TABLE "delivery_pause" (
	"is_paused" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"reason" text,
	"paused_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "deployment_branches" (
	"integration_id" uuid NOT NULL,
	"branch" text NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid NOT NULL,
	"preview_database_id" uuid,
	"pushed_preview_id" uuid,
	"pushed_to" text,
	"pushed_at" timestamp (3) with time zone,
	"redeployed_preview_id" uuid,
	"last_error" text,
	"failed_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	CONSTRAINT "deployment_branches_integration_id_branch_pk" PRIMARY KEY("integration_id","branch")
);
--> statement-breakpoint
CREATE TABLE "deployments" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid NOT NULL,
	"integration_id" uuid NOT NULL,
	"provider" text NOT NULL,
	"external_id" text NOT NULL,
	"state" text NOT NULL,
	"state_at" timestamp (3) with time zone NOT NULL,
	"announced" text[] NOT NULL,
	"context" text NOT NULL,
	"is_preview" boolean NOT NULL,
	"branch" text,
	"commit_sha" text,
	"commit_message" text,
	"commit_author" text,
	"pull_request" bigint,
	"is_fork" boolean,
	"url" text,
	"inspect_url" text,
	"error_code" text,
	"preview_database_id" uuid,
	"last_error" text,
	"started_at" timestamp (3) with time zone NOT NULL,
	"ready_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "pushed_variables" (
	"integration_id" uuid NOT NULL,
	"organization_id" uuid NOT NULL,
	"target_id" text NOT NULL,
	"target_team_id" text,
	"key" text NOT NULL,
	"branch" text NOT NULL,
	"fingerprint" text NOT NULL,
	"remote_id" text NOT NULL,
	"version" text,
	"is_being_written" boolean NOT NULL,
	"pushed_at" timestamp (3) with time zone,
	CONSTRAINT "pushed_variables_integration_id_target_id_key_branch_pk" PRIMARY KEY("integration_id","target_id","key","branch")
);
--> statement-breakpoint
CREATE TABLE "event_idempotency_keys" (
	"organization_id" uuid NOT NULL,
	"key" text NOT NULL,
	"event_id" uuid NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "event_idempotency_keys_organization_id_key_pk" PRIMARY KEY("organization_id","key")
);
--> statement-breakpoint
CREATE TABLE "events" (
	"id" uuid NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid,
	"type" text NOT NULL,
	"payload" text,
	"delivery_count" integer NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "events_organization_id_id_pk" PRIMARY KEY("organization_id","id")
) PARTITION BY RANGE ("id");
--> statement-breakpoint
CREATE TABLE "inbound_dedup_keys" (
	"organization_id" uuid NOT NULL,
	"integration_id" uuid NOT NULL,
	"provider_event_id" text NOT NULL,
	"inbound_id" uuid NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "inbound_dedup_keys_organization_id_integration_id_provider_event_id_pk" PRIMARY KEY("organization_id","integration_id","provider_event_id")
);
--> statement-breakpoint
CREATE TABLE "inbound_webhooks" (
	"id" uuid NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid NOT NULL,
	"integration_id" uuid NOT NULL,
	"provider" text NOT NULL,
	"provider_event_id" text NOT NULL,
	"type" text NOT NULL,
	"state" text NOT NULL,
	"error" text,
	"document" jsonb NOT NULL,
	"body_hash" "bytea" NOT NULL,
	"occurred_at" timestamp (3) with time zone,
	"received_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	"processed_at" timestamp (3) with time zone,
	CONSTRAINT "inbound_webhooks_organization_id_id_pk" PRIMARY KEY("organization_id","id")
) PARTITION BY RANGE ("id");
--> statement-breakpoint
CREATE TABLE "inbound_rejections" (
	"integration_id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"total" bigint NOT NULL,
	"recent" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "integrations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid NOT NULL,
	"provider" text NOT NULL,
	"state" text NOT NULL,
	"external_id" text,
	"config" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"status" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"credentials" text,
	"signing_secrets" text,
	"hook" jsonb,
	"deleted_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "platform_leases" (
	"project_id" uuid NOT NULL,
	"provider" text NOT NULL,
	"organization_id" uuid NOT NULL,
	"holder" uuid NOT NULL,
	"leased_until" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "platform_leases_project_id_provider_pk" PRIMARY KEY("project_id","provider")
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid,
	"preview_database_id" uuid,
	"cluster_id" text,
	"type" text NOT NULL,
	"state" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"max_attempts" integer NOT NULL,
	"claimed_by" text,
	"claim_id" uuid,
	"claimed_at" timestamp (3) with time zone,
	"started_at" timestamp (3) with time zone,
	"completed_at" timestamp (3) with time zone,
	"error" text,
	"last_stdout" text,
	"last_stderr" text,
	"last_exit_code" integer,
	"locked_resource" text NOT NULL,
	"retry_classification" text,
	"input" jsonb NOT NULL,
	"progress" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "oauth_flows" (
	"token_hash" text PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid NOT NULL,
	"provider" text NOT NULL,
	"actor_kind" text NOT NULL,
	"actor_id" text,
	"held_grant" text,
	"used_at" timestamp (3) with time zone,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "organizations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"slug" text NOT NULL,
	"clerk_organization_id" text,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	CONSTRAINT "organizations_slug_key" UNIQUE("slug"),
	CONSTRAINT "organizations_clerk_organization_id_key" UNIQUE("clerk_organization_id")
);
--> statement-breakpoint
CREATE TABLE "encryption_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "preview_databases" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid NOT NULL,
	"name" text NOT NULL,
	"mode" text NOT NULL,
	"state" text NOT NULL,
	"credentials" text NOT NULL,
	"last_error" text,
	"deletion_reason" text,
	"ttl_expires_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "projects" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"name" text NOT NULL,
	"slug" text NOT NULL,
	"state" text NOT NULL,
	"origin" text NOT NULL,
	"region" text DEFAULT 'self-hosted' NOT NULL,
	"plan" text DEFAULT 'self_hosted' NOT NULL,
	"environment" text NOT NULL,
	"always_on" boolean DEFAULT true NOT NULL,
	"postgres_version" integer,
	"database_name" text NOT NULL,
	"role_name" text NOT NULL,
	"credentials" text NOT NULL,
	"credentials_version" integer DEFAULT 1 NOT NULL,
	"direct_port" integer,
	"pooled_port" integer,
	"public_host" text,
	"ssl_mode" text NOT NULL,
	"max_connections" integer,
	"storage_limit_bytes" bigint,
	"last_error" text,
	"deleted_at" timestamp (3) with time zone,
	"dropped_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "endpoint_health" (
	"endpoint_id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"last_success_at" timestamp (3) with time zone,
	"last_failure_at" timestamp (3) with time zone,
	"failing_since" timestamp (3) with time zone,
	"consecutive_failures" integer DEFAULT 0 NOT NULL
) WITH (fillfactor = 50);
--> statement-breakpoint
CREATE TABLE "endpoint_secrets" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"endpoint_id" uuid NOT NULL,
	"secret" text NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "webhook_endpoints" (
	"id" uuid PRIMARY KEY NOT NULL,
	"organization_id" uuid NOT NULL,
	"project_id" uuid,
	"url" text NOT NULL,
	"name" text,
	"description" text,
	"event_types" text[] NOT NULL,
	"headers" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"secret_headers" text,
	"secret_header_names" text[] DEFAULT '{}' NOT NULL,
	"is_active" boolean NOT NULL,
	"disabled_reason" text,
	"created_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT clock_now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "deliveries_by_hand" ADD CONSTRAINT "deliveries_by_hand_endpoint_id_webhook_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "public"."webhook_endpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delivery_exhaustions" ADD CONSTRAINT "delivery_exhaustions_endpoint_id_webhook_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "public"."webhook_endpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "delivery_lanes" ADD CONSTRAINT "delivery_lanes_endpoint_id_webhook_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "public"."webhook_endpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "endpoint_health" ADD CONSTRAINT "endpoint_health_endpoint_id_webhook_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "public"."webhook_endpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "endpoint_secrets" ADD CONSTRAINT "endpoint_secrets_endpoint_id_webhook_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "public"."webhook_endpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "api_keys_organization_idx" ON "api_keys" USING btree ("organization_id","id");--> statement-breakpoint
CREATE INDEX "audit_events_organization_idx" ON "audit_events" USING btree ("organization_id","id");--> statement-breakpoint
CREATE INDEX "audit_events_project_idx" ON "audit_events" USING btree ("project_id","id");--> statement-breakpoint
CREATE INDEX "deliveries_due_idx" ON "deliveries" USING btree ("endpoint_id","next_attempt_at") WHERE state = 'pending';--> statement-breakpoint
CREATE INDEX "deliveries_endpoint_idx" ON "deliveries" USING btree ("endpoint_id","id");--> statement-breakpoint
CREATE INDEX "deliveries_endpoint_state_idx" ON "deliveries" USING btree ("endpoint_id","state","id");--> statement-breakpoint
CREATE INDEX "deliveries_endpoint_type_idx" ON "deliveries" USING btree ("endpoint_id","event_type","id");--> statement-breakpoint
CREATE INDEX "deliveries_event_idx" ON "deliveries" USING btree ("event_id","id");--> statement-breakpoint
CREATE INDEX "delivery_attempts_delivery_idx" ON "delivery_attempts" USING btree ("delivery_id","number","id");--> statement-breakpoint
CREATE INDEX "delivery_exhaustions_waiting_idx" ON "delivery_exhaustions" USING btree ("told_at") WHERE count > 0;--> statement-breakpoint
CREATE INDEX "delivery_lanes_due_idx" ON "delivery_lanes" USING btree ("due_at") WHERE due_at is not null;--> statement-breakpoint
CREATE INDEX "deployment_branches_preview_idx" ON "deployment_branches" USING btree ("preview_database_id");--> statement-breakpoint
CREATE UNIQUE INDEX "deployments_external_key" ON "deployments" USING btree ("project_id","provider","external_id");--> statement-breakpoint
CREATE INDEX "deployments_project_idx" ON "deployments" USING btree ("project_id","id");--> statement-breakpoint
CREATE INDEX "deployments_branch_idx" ON "deployments" USING btree ("integration_id",md5("branch"),"started_at");--> statement-breakpoint
CREATE INDEX "event_idempotency_keys_expiry_idx" ON "event_idempotency_keys" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "events_type_idx" ON "events" USING btree ("organization_id","type","id");--> statement-breakpoint
CREATE INDEX "inbound_dedup_keys_expiry_idx" ON "inbound_dedup_keys" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "inbound_webhooks_integration_idx" ON "inbound_webhooks" USING btree ("integration_id","id");--> statement-breakpoint
CREATE INDEX "inbound_webhooks_waiting_idx" ON "inbound_webhooks" USING btree ("integration_id","id") WHERE state = 'received';--> statement-breakpoint
CREATE UNIQUE INDEX "integrations_project_provider_key" ON "integrations" USING btree ("project_id","provider") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "integrations_organization_idx" ON "integrations" USING btree ("organization_id","id");--> statement-breakpoint
CREATE INDEX "jobs_project_idx" ON "jobs" USING btree ("project_id","id");--> statement-breakpoint
CREATE INDEX "jobs_organization_idx" ON "jobs" USING btree ("organization_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_running_resource_key" ON "jobs" USING btree ("locked_resource") WHERE state = 'running';--> statement-breakpoint
CREATE INDEX "jobs_open_idx" ON "jobs" USING btree ("locked_resource") WHERE state in ('pending', 'running');--> statement-breakpoint
CREATE INDEX "oauth_flows_expires_at_idx" ON "oauth_flows" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "preview_databases_project_idx" ON "preview_databases" USING btree ("project_id","id" DESC NULLS LAST);--> statement-breakpoint
CREATE INDEX "preview_databases_organization_idx" ON "preview_databases" USING btree ("organization_id");--> statement-breakpoint
CREATE UNIQUE INDEX "preview_databases_project_name_key" ON "preview_databases" USING btree ("project_id","name") WHERE state <> 'deleting';--> statement-breakpoint
CREATE INDEX "preview_databases_expiry_idx" ON "preview_databases" USING btree ("ttl_expires_at") WHERE state <> 'deleting';--> statement-breakpoint
CREATE INDEX "preview_databases_deleting_idx" ON "preview_databases" USING btree ("updated_at") WHERE state = 'deleting';--> statement-breakpoint
CREATE INDEX "projects_organization_idx" ON "projects" USING btree ("organization_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "projects_organization_slug_key" ON "projects" USING btree ("organization_id","slug") WHERE deleted_at is null;--> statement-breakpoint
CREATE INDEX "projects_expired_idx" ON "projects" USING btree ("deleted_at") WHERE origin = 'created' and deleted_at is not null and dropped_at is null;--> statement-breakpoint
CREATE INDEX "endpoint_secrets_endpoint_idx" ON "endpoint_secrets" USING btree ("endpoint_id","id");--> statement-breakpoint
CREATE INDEX "webhook_endpoints_organization_idx" ON "webhook_endpoints" USING btree ("organization_id","id");