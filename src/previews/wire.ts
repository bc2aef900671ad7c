import { type Static, Type } from "@sinclair/typebox";
import type { Context } from "../context.ts";
import { nextCursor, nullable, Timestamp, text } from "../http/wire.ts";
import { JobWire } from "../jobs/wire.ts";
import type { Preview } from "./preview.ts";

const Mode = Type.Unsafe<Preview["mode"]>(Type.String({ enum: ["empty", "clone"] }));

export const PreviewWire = Type.Object({
	id: Type.String(),
	project_id: Type.String(),
	name: Type.String(),
	mode: Mode,
	state: Type.Unsafe<Preview["state"]>(
		Type.String({ enum: ["provisioning", "ready", "failed", "deleting"] }),
	),
	database_name: nullable(Type.String()),
	role_name: nullable(Type.String()),
	direct_port: nullable(Type.Integer()),
	pooled_port: nullable(Type.Integer()),
	public_host: nullable(Type.String()),
	ssl_mode: nullable(Type.String()),
	last_error: nullable(Type.String()),
	ttl_expires_at: Timestamp,
	created_at: Timestamp,
	updated_at: Timestamp,
});

type PublicAddress = ReturnType<Context["projectDatabases"]["publicAddress"]>;

/** `address` is the one that customers reach the cluster by now. */
export function toPreviewWire(preview: Preview, address: PublicAddress): Static<typeof PreviewWire> {
	return {
		id: preview.id,
		project_id: preview.projectId,
		name: preview.name,
		mode: preview.mode,
		state: preview.state,
		database_name: preview.id,
		role_name: preview.id,
		direct_port: address.directPort,
		pooled_port: address.pooledPort,
		public_host: address.host,
		ssl_mode: address.sslMode,
		last_error: preview.lastError,
		ttl_expires_at: preview.ttlExpiresAt.toISOString(),
		created_at: preview.createdAt.toISOString(),
		updated_at: preview.updatedAt.toISOString(),
	};
}

export const PreviewAnswer = Type.Object({ preview: PreviewWire });
export const PreviewAndJobAnswer = Type.Object({ preview: PreviewWire, job: JobWire });
export const PreviewsAnswer = Type.Object({
	preview_databases: Type.Array(PreviewWire),
	next_cursor: nextCursor,
});

const ttlHoursDefault = 24;
const TtlHours = Type.Integer({
	minimum: 1,
	maximum: 168,
	description: `Hours from now; ${ttlHoursDefault} unless given.`,
});

export const CreatePreviewBody = Type.Object(
	{
		name: Type.Optional(
			text({
				minLength: 1,
				maxLength: 100,
				description: "Unique in the project; generated unless given.",
			}),
		),
		mode: Type.Optional(Mode),
		ttl_hours: Type.Optional(TtlHours),
	},
	{ additionalProperties: false },
);

export const ExtendPreviewBody = Type.Object(
	{ ttl_hours: Type.Optional(TtlHours) },
	{ additionalProperties: false },
);

export function fromCreateBody(body: Static<typeof CreatePreviewBody>) {
	return { name: body.name ?? null, mode: body.mode ?? "empty", ttlHours: fromTtlBody(body) } as const;
}

export function fromTtlBody(body: Static<typeof ExtendPreviewBody>): number {
	return body.ttl_hours ?? ttlHoursDefault;
}
