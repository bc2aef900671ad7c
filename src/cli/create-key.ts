import { createApiKey } from "../api-keys/create-api-key.ts";
import { CreateApiKeyBody, fromCreateBody, toApiKeyWire } from "../api-keys/wire.ts";
import { requireBody } from "../http/schemas.ts";
import { type Command, given } from "./command.ts";
import { locate, withContext } from "./open-context.ts";

export const createKeyCommand: Command = {
	summary: "makes an API key and prints it, this once",
	options: {
		organization: { value: "org_…", help: "whose it is", isRequired: true },
		name: { value: "name", help: "what it is for", isRequired: true },
		scope: { value: "scope", help: "what it may do; `*` for everything", isRepeated: true },
		project: { value: "prj_…", help: "the only project that it reaches" },
		"expires-at": { value: "time", help: "RFC 3339; default: never" },
	},
	run: (options, surroundings) =>
		withContext(surroundings, async (ctx) => {
			const { organizationId } = await locate(ctx, "orgID", options.required("organization"));
			const body = requireBody(
				CreateApiKeyBody,
				given({
					name: options.text("name"),
					scopes: options.list("scope"),
					project_id: options.text("project"),
					expires_at: options.text("expires-at"),
				}),
			);
			const { apiKey, plaintext } = await createApiKey(ctx, {
				...fromCreateBody(body),
				organizationId,
				principal: { kind: "admin" },
				source: "cli",
			});
			return {
				text: `Made the API key ${apiKey.id}. Keep it, it is shown only now:\n\n  ${plaintext}\n`,
				json: { api_key: toApiKeyWire(apiKey, ctx.clock.now()), plaintext_api_key: plaintext },
			};
		}),
};
