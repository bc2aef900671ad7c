import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Integration, SigningSecret } from "../integrations/integration.ts";
import { openSigningSecrets } from "../integrations/integration-secrets.ts";

/** An integration as it stood at `version`, its signing secrets opened. */
export type KnownIntegration = {
	integration: Integration;
	/** Names this state of the row; every change of what webhooks are judged by makes another. */
	version: string;
	signingSecrets: readonly SigningSecret[];
};

export type KnownIntegrations = {
	/** As it was found a moment ago. Only what is written under its version may be built on it. */
	recall(projectId: ProjectId, provider: string): KnownIntegration | null;
	/** As it is now, and remembered. */
	find(projectId: ProjectId, provider: string): Promise<KnownIntegration | null>;
};

const rememberedMs = 10_000;
const rememberedMax = 1_000;

/** Remembers the integrations that are called, so that not every webhook reads its own and opens its secrets. */
export function createKnownIntegrations(ctx: Pick<Context, "stores" | "vault">): KnownIntegrations {
	const remembered = new Map<string, { known: KnownIntegration; until: number }>();
	const remember = (key: string, known: KnownIntegration) => {
		remembered.delete(key);
		remembered.set(key, { known, until: performance.now() + rememberedMs });
		const [oldest] = remembered.keys();
		if (remembered.size > rememberedMax && oldest !== undefined) remembered.delete(oldest);
	};
	return {
		recall: (projectId, provider) => {
			const entry = remembered.get(`${projectId} ${provider}`);
			return entry && entry.until > performance.now() ? entry.known : null;
		},
		find: async (projectId, provider) => {
			const key = `${projectId} ${provider}`;
			const found = await ctx.stores.integrations.findForWebhook({ projectId, provider });
			remembered.delete(key);
			if (!found) return null;
			const known = { ...found, signingSecrets: openSigningSecrets(ctx.vault, found.integration) };
			remember(key, known);
			return known;
		},
	};
}
