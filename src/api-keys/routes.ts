import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { ApiKeyId, OrganizationId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers, cutPage, ListQuery, readPage } from "../http/wire.ts";
import { createApiKey } from "./create-api-key.ts";
import { listApiKeys } from "./list-api-keys.ts";
import { revokeApiKey } from "./revoke-api-key.ts";
import {
	ApiKeysAnswer,
	CreateApiKeyBody,
	fromCreateBody,
	IssuedApiKeyAnswer,
	RevokedAnswer,
	toApiKeyWire,
} from "./wire.ts";

const tags = ["API keys"];
const orgID = Type.Unsafe<OrganizationId>(Type.String());

export function apiKeyRoutes(app: Api, ctx: Context): void {
	const path = "/v1/organizations/:orgID/api-keys";
	app.get(path, {
		config: { access: { scope: "api_keys:read", reach: "organization" } },
		schema: {
			tags,
			operationId: "listApiKeys",
			params: Type.Object({ orgID }),
			querystring: ListQuery,
			response: answers({ 200: ApiKeysAnswer }),
		},
		handler: async ({ params, query }) => {
			const page = readPage("key", query, null);
			const cut = cutPage(await listApiKeys(ctx, { organizationId: params.orgID, page }), page.limit);
			const now = ctx.clock.now();
			return { api_keys: cut.rows.map((key) => toApiKeyWire(key, now)), next_cursor: cut.nextCursor };
		},
	});

	app.post(path, {
		config: { access: { scope: "api_keys:write", reach: "organization" } },
		schema: {
			tags,
			operationId: "createApiKey",
			params: Type.Object({ orgID }),
			body: CreateApiKeyBody,
			response: answers({ 201: IssuedApiKeyAnswer }),
		},
		handler: async ({ params, body, principal }, reply) => {
			const input = { ...fromCreateBody(body), organizationId: params.orgID, principal };
			const { apiKey, plaintext } = await createApiKey(ctx, input);
			const shown = toApiKeyWire(apiKey, ctx.clock.now());
			return reply.code(201).send({ api_key: shown, plaintext_api_key: plaintext });
		},
	});

	app.delete(`${path}/:keyID`, {
		config: { access: { scope: "api_keys:write", reach: "organization" } },
		schema: {
			tags,
			operationId: "revokeApiKey",
			params: Type.Object({ orgID, keyID: Type.Unsafe<ApiKeyId>(Type.String()) }),
			response: answers({ 200: RevokedAnswer }),
		},
		handler: async ({ params, principal }) => {
			await revokeApiKey(ctx, { keyId: params.keyID, actor: actorOf(principal) });
			return { revoked: true as const };
		},
	});
}
