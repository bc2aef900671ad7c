import type { Context } from "../context.ts";
import type { PreviewId } from "../core/ids.ts";
import type { Preview } from "./preview.ts";

type Vault = Context["vault"];

export function sealPassword(vault: Vault, id: PreviewId, password: string): string {
	return vault.seal(JSON.stringify({ password }), placeOf(id));
}

export function openPassword(vault: Vault, preview: Preview): string {
	return JSON.parse(vault.open(preview.credentials, placeOf(preview.id))).password;
}

function placeOf(id: PreviewId) {
	return { row: id, column: "preview_databases.credentials" };
}
