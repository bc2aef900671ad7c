import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Context } from "../context.ts";
import { AppError } from "../core/errors.ts";
import { JsonObject, nullable, Timestamp } from "../http/wire.ts";
import type { AuthProvider } from "../providers/provider.ts";
import type { Provider } from "../providers/registry.ts";
import type { Integration, IntegrationConfig, IntegrationPut } from "./integration.ts";

/** What an integration's wire form needs beside its row. */
export type WireView = Pick<Context, "publicUrl" | "providers">;

export const IntegrationWire = Type.Object({
	id: Type.String(),
	organization_id: Type.String(),
	project_id: Type.String(),
	provider: Type.String(),
	state: Type.Unsafe<Integration["state"]>(Type.String({ enum: ["pending", "active", "error", "disabled"] })),
	external_id: nullable(Type.String()),
	has_credentials: Type.Boolean(),
	config: JsonObject,
	created_at: Timestamp,
	updated_at: Timestamp,
});

export function toIntegrationWire(view: WireView, integration: Integration): Static<typeof IntegrationWire> {
	return {
		id: integration.id,
		organization_id: integration.organizationId,
		project_id: integration.projectId,
		provider: integration.provider,
		state: integration.state,
		external_id: integration.externalId,
		has_credentials: integration.credentials !== null || integration.signingSecrets !== null,
		config: { ...toConfigWire(integration.config), ...toReportWire(view, integration) },
		created_at: integration.createdAt.toISOString(),
		updated_at: integration.updatedAt.toISOString(),
	};
}

/** The settable keys, as they are spelled outside and inside. */
const settable = {
	team_id: "teamId",
	preview_branches: "previewBranches",
	preview_ttl_hours: "previewTtlHours",
	env_prefix: "envPrefix",
	env_targets: "envTargets",
	allow_forks: "allowForks",
	redeploy: "redeploy",
	include_private_metadata: "includePrivateMetadata",
} as const satisfies Record<string, keyof IntegrationConfig>;

const settableKeys = Object.keys(settable) as (keyof typeof settable)[];

function toConfigWire(config: IntegrationConfig): Record<string, unknown> {
	const entries = settableKeys.map((key) => [key, config[settable[key]]] as const);
	return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function toReportWire(view: WireView, { provider, projectId, status }: Integration): Record<string, unknown> {
	const auth = view.providers.auth.find(({ id }) => id === provider);
	const platform = view.providers.deployment.find(({ id }) => id === provider);
	const receiver = `${view.publicUrl()}/v1/integrations/${auth?.pathNames[0]}/webhook/${projectId}`;
	return {
		...(auth ? { webhook_receiver: receiver } : {}),
		...(platform
			? { [platform.hookErrorField]: status.hookError ?? null, hook_note: status.hookNote ?? null }
			: {}),
		last_synced_at: status.lastSyncedAt ?? null,
		last_event_at: status.lastEventAt ?? null,
		last_error: status.lastError ?? status.applyError ?? refusedSentence(status),
		...(auth ? { users_synced: status.usersSynced ?? null } : {}),
	};
}

/** Changes that were refused one by one, since all users were read last. */
function refusedSentence({ heldChanges = 0, refusedChanges = 0 }: Integration["status"]): string | null {
	const sentences = [
		heldChanges === 0
			? []
			: [`${heldChanges} changes were refused: another provider of this project holds the users' ids.`],
		refusedChanges === 0
			? []
			: [`${refusedChanges} changes were refused: the project's database does not take the users' rows.`],
	].flat();
	return sentences.length === 0 ? null : sentences.join(" ");
}

const ConfigBody = Type.Object(
	{
		team_id: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 100, pattern: "^[!-~]+$" }))),
		preview_branches: Type.Optional(nullable(Type.Boolean())),
		preview_ttl_hours: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: 168 }))),
		env_prefix: Type.Optional(
			nullable(Type.String({ maxLength: 60, pattern: "^([A-Za-z][A-Za-z0-9_]*)?$" })),
		),
		env_targets: Type.Optional(
			nullable(Type.Array(Type.String({ pattern: "^[a-z][a-z0-9-]*$", maxLength: 60 }), { maxItems: 10 })),
		),
		allow_forks: Type.Optional(nullable(Type.Boolean())),
		redeploy: Type.Optional(nullable(Type.Boolean())),
		include_private_metadata: Type.Optional(nullable(Type.Boolean())),
	},
	{ additionalProperties: false, description: "Merged into what is set; null removes a key." },
);

const ExternalId = Type.String({
	minLength: 1,
	maxLength: 255,
	pattern: "^[^\\u0000-\\u001f\\ud800-\\udfff]*$",
});
const Secret = Type.String({ minLength: 1, maxLength: 500, pattern: "^[!-~]+$" });

const signingSecretKey = "webhook_signing_secret";

/** The body of a PUT. `credentials` takes the keys of all providers here; each provider's own are checked later. */
export function putIntegrationBody(providers: readonly Provider[]) {
	const keys = [...new Set(providers.flatMap((provider) => provider.credentialKeys))];
	const properties = keys.map((key) => [
		key,
		Type.Optional(key === signingSecretKey ? nullable(Secret) : Secret),
	]);
	const credentials = Type.Object(Object.fromEntries(properties), { additionalProperties: false });
	return Type.Object(
		{
			config: Type.Optional(ConfigBody),
			external_id: Type.Optional(nullable(ExternalId)),
			state: Type.Optional(Type.Unsafe<"active" | "disabled">(Type.String({ enum: ["active", "disabled"] }))),
			credentials: Type.Optional(Type.Unsafe<Record<string, string | null>>(credentials)),
		},
		{ additionalProperties: false },
	);
}

/** Throws a 400 for a credential that this provider does not have or that is not of its form. */
export function fromPutIntegrationBody(
	provider: Provider,
	body: Static<ReturnType<typeof putIntegrationBody>>,
): IntegrationPut {
	const given = Object.entries(body.credentials ?? {});
	for (const [key, value] of given) checkCredential(provider, key, value);
	for (const target of body.config?.env_targets ?? []) checkVariableTarget(provider, target);
	const { [signingSecretKey]: signingSecret, ...credentials } = Object.fromEntries(given);
	return {
		config: fromConfigBody(body.config ?? {}),
		...(body.external_id === undefined ? {} : { externalId: body.external_id }),
		...(body.state === undefined ? {} : { state: body.state }),
		credentials: credentials as Record<string, string>,
		...(signingSecret === undefined ? {} : { signingSecret }),
	};
}

/** Splits the body of a connect route, which is the provider's own, into credentials and signing secret. */
export function fromConnectBody(provider: AuthProvider, body: Record<string, unknown>) {
	const strings = Object.entries(body).filter(
		(entry): entry is [string, string] => typeof entry[1] === "string",
	);
	const known = strings.filter(([key]) => provider.credentialKeys.includes(key));
	const { [signingSecretKey]: signingSecret, ...credentials } = Object.fromEntries(known);
	return { credentials, ...(signingSecret === undefined ? {} : { signingSecret }) };
}

function checkCredential(provider: Provider, key: string, value: string | null): void {
	const field = `credentials.${key}`;
	if (!provider.credentialKeys.includes(key))
		throw credentialFault(field, `is not one of ${provider.displayName}`);
	const schema = provider.connectBody?.properties[key];
	if (value !== null && schema !== undefined && !Value.Check(schema, value)) {
		throw credentialFault(field, `does not look like one of ${provider.displayName}`);
	}
}

function checkVariableTarget(provider: Provider, target: string): void {
	if (provider.kind === "auth" || provider.variableTargets.includes(target)) return;
	const sentence = `\`config.env_targets\` may hold ${provider.variableTargets.join(", ")} with ${provider.displayName}.`;
	throw new AppError("invalid", "config_env_targets.invalid", sentence);
}

function credentialFault(field: string, complaint: string): AppError {
	return new AppError("invalid", `${field.replaceAll(".", "_")}.invalid`, `\`${field}\` ${complaint}.`);
}

function fromConfigBody(body: Static<typeof ConfigBody>): IntegrationPut["config"] {
	const given = settableKeys.filter((key) => body[key] !== undefined);
	return Object.fromEntries(given.map((key) => [settable[key], body[key] ?? undefined]));
}
