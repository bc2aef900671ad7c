import type { Context } from "../context.ts";
import type { Platform } from "../integrations/platforms/open-platform.ts";
import type { Project } from "../projects/project.ts";
import { projectConnections } from "../projects/read-connections.ts";
import type { DesiredVariable } from "../providers/deployment-provider.ts";
import { ProviderError } from "../providers/errors.ts";
import { desiredVariables } from "./desired-variables.ts";
import { eraseVariables } from "./erase-variables.ts";
import type { PushedVariable } from "./pushed-variable.ts";
import { writeVariables } from "./write-variables.ts";

type Pushed = {
	written: number;
	/** Keys of variables that were not ours before. */
	takenOver: string[];
	removed: number;
	/** What could not be removed, as sentences for the customer. */
	left: string[];
};

/**
 * Brings the project's own URLs to the platform, and removes what we wrote under another prefix or to another target
 * before. For the holder of the platform's lease. Throws a ProviderError.
 */
export async function pushProject(
	ctx: Pick<Context, "stores" | "vault" | "projectDatabases">,
	platform: Platform,
	project: Project,
): Promise<Pushed> {
	const { integration, provider } = platform;
	const connections = projectConnections(ctx, project);
	const desired = desiredVariables(provider, integration, { connections, branch: null });
	const { written, takenOver } = await writeVariables(ctx, platform, desired);
	const kept = await ctx.stores.pushedVariables.list(integration.id);
	const erased = await eraseOutdated(ctx, platform, outdatedOf(platform, kept, desired));
	return { written: written.length, takenOver: [...new Set(takenOver.map(({ key }) => key))], ...erased };
}

/** What stands at another target, or is of no branch and not wanted any more. */
function outdatedOf(
	{ access }: Platform,
	kept: readonly PushedVariable[],
	desired: readonly DesiredVariable[],
): PushedVariable[] {
	const isWanted = ({ key }: PushedVariable) => desired.some((variable) => variable.key === key);
	return kept.filter(
		(variable) =>
			variable.target.id !== access.target.id || (variable.branch === null && !isWanted(variable)),
	);
}

/** The new token may not reach the earlier target: then what stands there stays, and the customer is told. */
async function eraseOutdated(
	ctx: Pick<Context, "stores">,
	platform: Platform,
	outdated: readonly PushedVariable[],
): Promise<Pick<Pushed, "removed" | "left">> {
	try {
		const { removed, kept } = await eraseVariables(ctx, platform, outdated);
		const sentence = `left ${kept} as they are: they were changed at ${platform.provider.displayName} since`;
		return { removed, left: kept === 0 ? [] : [sentence] };
	} catch (error) {
		if (!(error instanceof ProviderError) || !isRefused(error)) throw error;
		const keys = [...new Set(outdated.map(({ key }) => key))].join(", ");
		return {
			removed: 0,
			left: [`could not remove ${keys} of an earlier connection: ${error.message}`],
		};
	}
}

function isRefused({ reason }: ProviderError): boolean {
	return reason === "unauthorized" || reason === "forbidden" || reason === "not_found";
}
