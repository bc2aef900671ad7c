import { randomBytes } from "node:crypto";
import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Project } from "./project.ts";

/** Of a role that we made. `nextPassword` is one that a rotation is about to put in force. */
export type CreatedCredentials = { password: string; nextPassword: string | null };

/** Of a bring-your-own database: the URLs as the customer wrote them. */
export type ExternalCredentials = { pooledUrl: string; directUrl: string };

type Vault = Context["vault"];

export function sealCreatedCredentials(vault: Vault, id: ProjectId, credentials: CreatedCredentials): string {
	const { password, nextPassword } = credentials;
	return vault.seal(JSON.stringify({ password, next_password: nextPassword }), placeOf(id));
}

export function sealExternalCredentials(
	vault: Vault,
	id: ProjectId,
	credentials: ExternalCredentials,
): string {
	const { pooledUrl, directUrl } = credentials;
	return vault.seal(JSON.stringify({ pooled_url: pooledUrl, direct_url: directUrl }), placeOf(id));
}

/** What stands in a deleted project's row. */
export function sealNothing(vault: Vault, id: ProjectId): string {
	return vault.seal("{}", placeOf(id));
}

export function openCreatedCredentials(vault: Vault, project: Project): CreatedCredentials {
	const { password, next_password: nextPassword } = open(vault, project);
	return { password: password ?? "", nextPassword: nextPassword ?? null };
}

export function openExternalCredentials(vault: Vault, project: Project): ExternalCredentials {
	const { pooled_url: pooledUrl, direct_url: directUrl } = open(vault, project);
	return { pooledUrl: pooledUrl ?? "", directUrl: directUrl ?? "" };
}

/** 200 random bits in letters and digits, so that it needs no escaping in a URL and no SASLprep. */
export function newPassword(): string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
	return [...randomBytes(40)].map((byte) => alphabet[byte & 31]).join("");
}

function open(vault: Vault, project: Project): Record<string, string | null | undefined> {
	return JSON.parse(vault.open(project.credentials, placeOf(project.id)));
}

function placeOf(id: ProjectId) {
	return { row: id, column: "projects.credentials" };
}
