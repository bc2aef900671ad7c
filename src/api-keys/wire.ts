import { type Static, Type } from "@sinclair/typebox";
import { type Scope, scopes } from "../core/principal.ts";
import { nextCursor, nullable, readMoment, Timestamp, text } from "../http/wire.ts";
import type { ApiKey } from "./api-key.ts";

const ScopeWire = Type.Unsafe<Scope>(Type.String({ enum: [...scopes] }));

export const ApiKeyWire = Type.Object({
	id: Type.String(),
	organization_id: Type.String(),
	project_id: nullable(Type.String()),
	name: Type.String(),
	key_prefix: Type.String(),
	scopes: Type.Array(ScopeWire),
	source: Type.String(),
	is_active: Type.Boolean(),
	device_name: nullable(Type.String()),
	expires_at: nullable(Timestamp),
	last_used_at: nullable(Timestamp),
	revoked_at: nullable(Timestamp),
	created_by_user_id: nullable(Type.String()),
	created_at: Timestamp,
});

/** A key is active until it is revoked or `now` has reached its expiry. */
export function toApiKeyWire(key: ApiKey, now: Date): Static<typeof ApiKeyWire> {
	return {
		id: key.id,
		organization_id: key.organizationId,
		project_id: key.projectId,
		name: key.name,
		key_prefix: key.keyPrefix,
		scopes: key.scopes,
		source: key.source,
		is_active: key.revokedAt === null && (key.expiresAt === null || key.expiresAt > now),
		device_name: key.deviceName,
		expires_at: key.expiresAt?.toISOString() ?? null,
		last_used_at: key.lastUsedAt?.toISOString() ?? null,
		revoked_at: key.revokedAt?.toISOString() ?? null,
		created_by_user_id: key.createdByUserId,
		created_at: key.createdAt.toISOString(),
	};
}

export const ApiKeysAnswer = Type.Object({ api_keys: Type.Array(ApiKeyWire), next_cursor: nextCursor });

export const IssuedApiKeyAnswer = Type.Object({
	api_key: ApiKeyWire,
	plaintext_api_key: Type.String({ description: "Shown this once." }),
});

export const RevokedAnswer = Type.Object({ revoked: Type.Literal(true) });

export const CreateApiKeyBody = Type.Object(
	{
		name: text({ minLength: 1, maxLength: 100 }),
		scopes: Type.Array(ScopeWire, { minItems: 1, maxItems: scopes.length, uniqueItems: true }),
		project_id: Type.Optional(nullable(Type.String({ maxLength: 100 }))),
		expires_at: Type.Optional(nullable(Timestamp)),
		device_name: Type.Optional(nullable(text({ maxLength: 100 }))),
	},
	{ additionalProperties: false },
);

export function fromCreateBody(body: Static<typeof CreateApiKeyBody>) {
	return {
		name: body.name,
		scopes: body.scopes,
		projectId: body.project_id ?? null,
		expiresAt: body.expires_at == null ? null : readMoment("expires_at", body.expires_at),
		// An empty text is no value, and answers never hold one.
		deviceName: body.device_name || null,
	};
}
