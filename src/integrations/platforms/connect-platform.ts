import type { Context, Transaction } from "../../context.ts";
import type { ProjectId } from "../../core/ids.ts";
import type { Actor } from "../../core/principal.ts";
import { enqueuePush } from "../../env-sync/enqueue-push.ts";
import type { Job } from "../../jobs/job.ts";
import type { DeploymentProvider, IdentifiedTarget } from "../../providers/deployment-provider.ts";
import type { Credentials } from "../../providers/provider.ts";
import { announceConnected } from "../announce-connected.ts";
import { atProvider } from "../at-provider.ts";
import { claimIntegration } from "../claim-integration.ts";
import type { Integration } from "../integration.ts";
import { sealCredentials } from "../integration-secrets.ts";
import { checkTarget } from "./check-target.ts";
import { tokenMissing } from "./errors.ts";
import { platformCredentials } from "./open-platform.ts";
import { hookMsMax, setUpHook } from "./set-up-hook.ts";

type Input = {
	projectId: ProjectId;
	provider: DeploymentProvider;
	/** The project's or site's id or name. */
	target: string;
	/** Null takes the one that is stored, as after OAuth. */
	token: string | null;
	teamId: string | null;
	previewBranches: boolean;
	actor: Actor;
};

/**
 * Connects a project to a deployment platform and queues the push of its URLs. Token and target are checked at the
 * platform before anything is saved. Connecting again keeps the integration and replaces both. A hook that the
 * platform refuses is reported in `config` alone. Throws a 400 when the platform refuses, a 502 when it is down.
 */
export async function connectPlatform(
	ctx: Context,
	input: Input,
): Promise<{ integration: Integration; job: Job }> {
	const { credentials, teamId } = await chooseCredentials(ctx, input);
	const found = await checkTarget(input.provider, credentials, { id: input.target, teamId });
	const connected = await ctx.transaction((tx) =>
		save(ctx, tx, { ...input, teamId }, { ...found, credentials }),
	);
	await setUpHook(ctx, connected.integration.id);
	const integration = await ctx.stores.integrations.find(connected.integration.id);
	return { ...connected, integration: integration ?? connected.integration };
}

/** With a token that is stored goes the team that it was granted for. */
async function chooseCredentials(
	ctx: Context,
	{ projectId, provider, token, teamId }: Input,
): Promise<{ credentials: Credentials; teamId: string | null }> {
	if (token !== null) return { credentials: { token }, teamId };
	const stored = await ctx.stores.integrations.findByProvider(projectId, provider.id);
	if (!stored) throw tokenMissing(provider);
	const credentials = await atProvider(() => platformCredentials(ctx, stored, provider));
	return { credentials, teamId: teamId ?? stored.config.teamId ?? null };
}

type Checked = IdentifiedTarget & { credentials: Credentials };

async function save(
	ctx: Pick<Context, "publicUrl" | "providers">,
	tx: Transaction,
	{ projectId, provider, token, teamId, previewBranches, actor }: Input,
	{ credentials, target, productionBranch }: Checked,
): Promise<{ integration: Integration; job: Job }> {
	const { integration: found } = await claimIntegration(tx, projectId, provider);
	const { teamId: _former, ...config } = found.config;
	const integration = await tx.stores.integrations.update(
		found.id,
		{
			state: "active",
			externalId: target.id,
			config: { ...config, previewBranches, ...(teamId === null ? {} : { teamId }) },
			...(token === null ? {} : { credentials: sealCredentials(tx.vault, found, credentials) }),
		},
		{
			drop: ["lastError", "targetTeamId", "productionBranch"],
			set: {
				...(target.teamId === null ? {} : { targetTeamId: target.teamId }),
				...(productionBranch === null ? {} : { productionBranch }),
				// What was deployed before is nobody's to have a database now.
				...(isHeard(found, target.id) ? {} : { deploymentsReadAt: tx.clock.now().toISOString() }),
			},
		},
	);
	const job = await enqueuePush(tx, integration);
	if (previewBranches || found.hook !== null) await finishLater(tx, integration);
	await announceConnected(ctx, tx, integration, actor);
	return { integration, job };
}

/** Whether this target's deployments were followed until now. */
function isHeard({ config, externalId }: Integration, targetId: string): boolean {
	return config.previewBranches === true && externalId === targetId;
}

/** What is not done about the hook when this process dies, or the platform is slow, is made up for by a task. */
async function finishLater(tx: Transaction, { id }: Integration): Promise<void> {
	// A key of its own, so that a reconciliation that is wanted at once does not wait for this one.
	const options = { singletonKey: `${id} connected`, startAfterSeconds: hookMsMax / 1000 };
	await tx.tasks.send("integrations.reconcile", { integrationId: id }, options);
}
