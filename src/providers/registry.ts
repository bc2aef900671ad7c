import type { DeploymentProvider } from "./deployment-provider.ts";
import type { AuthProvider } from "./provider.ts";

export type Provider = AuthProvider | DeploymentProvider;

export type ProviderRegistry = {
	all: readonly Provider[];
	/** Those that mirror users. */
	auth: readonly AuthProvider[];
	/** Those that deploy. */
	deployment: readonly DeploymentProvider[];
	/** Finds a provider by the name in a path; null when there is none. */
	find(pathName: string): Provider | null;
};

/** The providers of this server by their path names. Two that claim one name are a fault of ours: it throws. */
export function createRegistry(providers: readonly Provider[]): ProviderRegistry {
	const byPathName = new Map<string, Provider>();
	for (const provider of providers) {
		for (const name of provider.pathNames) {
			if (byPathName.has(name)) throw new Error(`Two providers are called "${name}".`);
			byPathName.set(name, provider);
		}
	}
	return {
		all: [...providers],
		auth: providers.filter((provider) => provider.kind === "auth"),
		deployment: providers.filter((provider) => provider.kind === "deployment"),
		find: (pathName) => byPathName.get(pathName) ?? null,
	};
}
