import { revokeApiKey } from "../api-keys/revoke-api-key.ts";
import type { ApiKeyId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import type { Command } from "./command.ts";
import { locate, withContext } from "./open-context.ts";

export const revokeKeyCommand: Command = {
	summary: "ends an API key at once and for good",
	options: { key: { value: "key_…", help: "its id", isRequired: true } },
	run: (options, surroundings) =>
		withContext(surroundings, async (ctx) => {
			const id = options.required("key");
			await locate(ctx, "keyID", id);
			await revokeApiKey(ctx, { keyId: id as ApiKeyId, actor: actorOf({ kind: "admin" }) });
			return { text: `Revoked the API key ${id}.`, json: { revoked: true } };
		}),
};
