import { createHash } from "node:crypto";
import type { Integration } from "../integrations/integration.ts";
import type { Connections } from "../projects/cluster-connections.ts";
import type { DeploymentProvider, DesiredVariable } from "../providers/deployment-provider.ts";

/**
 * The variables that a project's own database, or that of a branch, stands in: pooled and direct URL, with
 * `env_prefix` before both. None when `env_targets` leaves nothing: with a database for each branch the project's
 * own URL goes to production alone, whatever `env_targets` says, so that no build of a branch ever migrates it.
 */
export function desiredVariables(
	provider: Pick<DeploymentProvider, "variableTargets" | "defaultTargets">,
	integration: Pick<Integration, "id" | "config">,
	{
		connections,
		branch,
	}: { connections: Pick<Connections, "pooledUrl" | "directUrl">; branch: string | null },
): DesiredVariable[] {
	const targets = branch === null ? baseTargets(provider, integration) : [];
	if (branch === null && targets.length === 0) return [];
	const prefix = integration.config.envPrefix ?? "";
	const variable = (name: string, value: string): DesiredVariable => {
		const key = `${prefix}${name}`;
		return { key, value, fingerprint: fingerprint(integration.id, key, value), branch, targets };
	};
	return [
		variable("DATABASE_URL", connections.pooledUrl),
		variable("DATABASE_URL_UNPOOLED", connections.directUrl),
	];
}

/** Where the project's own variables go. */
export function baseTargets(
	provider: Pick<DeploymentProvider, "variableTargets" | "defaultTargets">,
	{ config }: Pick<Integration, "config">,
): readonly string[] {
	const previewBranches = config.previewBranches ?? false;
	const usual = provider.defaultTargets({ previewBranches });
	if (config.envTargets === undefined || config.envTargets.length === 0) return usual;
	const allowed = previewBranches ? usual : provider.variableTargets;
	return config.envTargets.filter((target) => allowed.includes(target));
}

/** Says whether a value is the one that we wrote; of no use for another integration or key. */
function fingerprint(integrationId: string, key: string, value: string): string {
	return createHash("sha256")
		.update(JSON.stringify([integrationId, key, value]))
		.digest("hex");
}
