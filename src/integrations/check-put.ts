import type { Context } from "../context.ts";
import { AppError } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { DeploymentProvider } from "../providers/deployment-provider.ts";
import type { Credentials } from "../providers/provider.ts";
import type { Provider } from "../providers/registry.ts";
import { atProvider } from "./at-provider.ts";
import { checkCredentials } from "./check-credentials.ts";
import type { Integration, IntegrationPut } from "./integration.ts";
import { callCredentials, openCredentials } from "./integration-secrets.ts";
import { checkTarget, checkToken } from "./platforms/check-target.ts";
import { targetIsKept } from "./platforms/errors.ts";
import { freshCredentials } from "./platforms/fresh-credentials.ts";

type Input = { projectId: ProjectId; provider: Provider; put: IntegrationPut };

export type Checked = {
	credentials: Credentials;
	externalId: string | null;
	/** Of a platform's target; null where there is none. */
	targetTeamId: string | null;
	productionBranch: string | null;
};

const noTarget = { externalId: null, targetTeamId: null, productionBranch: null };

/**
 * Checks what a PUT gives at the provider: credentials, joined with those that are stored, and a platform's target.
 * Null when there is nothing to check. Throws a 400 when the provider refuses and a 502 when it is down.
 */
export async function checkPut(
	ctx: Pick<Context, "stores" | "vault" | "clock" | "log">,
	input: Input,
): Promise<Checked | null> {
	const { provider, put, projectId } = input;
	if (put.signingSecret === null && !makesSigningSecret(provider)) {
		const { displayName } = provider;
		const sentence = `${displayName} makes the signing secret: paste the one that it shows for the webhook endpoint.`;
		throw new AppError("invalid", "credentials_webhook_signing_secret.invalid", sentence);
	}
	const stored = await ctx.stores.integrations.findByProvider(projectId, provider.id);
	if (provider.kind === "deployment" && put.externalId === null && stored?.externalId) {
		throw targetIsKept(provider);
	}
	const isNewTarget = provider.kind === "deployment" && isMoved(put, stored);
	if (Object.keys(put.credentials).length === 0 && !isNewTarget) return null;
	if (provider.kind === "auth") {
		const credentials = { ...(stored ? openCredentials(ctx.vault, stored) : {}), ...put.credentials };
		const asking = {
			...(stored ? callCredentials(ctx, stored) : {}),
			...put.credentials,
			...givenSecret(put),
		};
		return { ...noTarget, credentials, ...(await checkCredentials(provider, asking)) };
	}
	// A token that is given stands alone: what renewed the former one does not belong to it.
	const isGiven = put.credentials.token !== undefined || !stored;
	const credentials = isGiven
		? put.credentials
		: await atProvider(() => freshCredentials(ctx, stored, provider));
	if (credentials.token === undefined) return null;
	return { credentials, ...(await checkPlatform(provider, credentials, put, stored)) };
}

function givenSecret({ signingSecret }: IntegrationPut): Credentials {
	return typeof signingSecret === "string" ? { webhook_signing_secret: signingSecret } : {};
}

/** Whether it names another project or site, or another team to look for it in. */
function isMoved({ externalId, config }: IntegrationPut, stored: Integration | null): boolean {
	const isOther = externalId !== undefined && externalId !== null && externalId !== stored?.externalId;
	return isOther || ("teamId" in config && config.teamId !== stored?.config.teamId);
}

/** Without a target to look for, what the token can see shows that it is good. */
async function checkPlatform(
	provider: DeploymentProvider,
	credentials: Credentials,
	put: IntegrationPut,
	stored: Integration | null,
): Promise<Omit<Checked, "credentials">> {
	const id = put.externalId === undefined ? (stored?.externalId ?? null) : put.externalId;
	const teamId = ("teamId" in put.config ? put.config.teamId : stored?.config.teamId) ?? null;
	if (id === null) {
		await checkToken(provider, credentials, teamId);
		return noTarget;
	}
	const { target, productionBranch } = await checkTarget(provider, credentials, { id, teamId });
	return { externalId: target.id, targetTeamId: target.teamId, productionBranch };
}

/** A provider that has a connect route keeps its own signing secrets; the others take the one that we make. */
export function makesSigningSecret(provider: Pick<Provider, "connectBody">): boolean {
	return provider.connectBody === null;
}
