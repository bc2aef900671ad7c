import type {
	DeploymentProvider,
	IdentifiedTarget,
	PlatformTarget,
} from "../../providers/deployment-provider.ts";
import type { Credentials } from "../../providers/provider.ts";
import { atProvider } from "../at-provider.ts";
import { asProviderDown } from "./deadline.ts";

const deadlineMs = 10_000;

/**
 * Asks the platform whether it takes the credentials and shows them this project or site, by id or name. Throws a 400
 * when it refuses and a 502 when it cannot be asked within 10 s.
 */
export async function checkTarget(
	provider: DeploymentProvider,
	credentials: Credentials,
	target: PlatformTarget,
): Promise<IdentifiedTarget> {
	return inTime(provider, (signal) => provider.identify({ credentials, target, signal }));
}

/** The same for credentials alone, while there is no target yet. */
export async function checkToken(
	provider: DeploymentProvider,
	credentials: Credentials,
	teamId: string | null,
): Promise<void> {
	await inTime(provider, (signal) => provider.listResources({ credentials, teamId, signal }));
}

async function inTime<Result>(
	provider: DeploymentProvider,
	ask: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
	const signal = AbortSignal.timeout(deadlineMs);
	return atProvider(async () => {
		try {
			return await ask(signal);
		} catch (thrown) {
			throw asProviderDown(provider, signal, thrown);
		}
	});
}
