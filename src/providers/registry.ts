import type { AuthProvider } from "./provider.ts";

export type ProviderRegistry = {
	all: readonly AuthProvider[];
	/** Finds a provider by the name in a path; null when there is none. */
	find(pathName: string): AuthProvider | null;
};

/** The providers of this server by their path names. Two that claim one name are a fault of ours: it throws. */
export function createRegistry(providers: readonly AuthProvider[]): ProviderRegistry {
	const byPathName = new Map<string, AuthProvider>();
	for (const provider of providers) {
		for (const name of provider.pathNames) {
			if (byPathName.has(name)) throw new Error(`Two providers are called "${name}".`);
			byPathName.set(name, provider);
		}
	}
	return { all: [...providers], find: (pathName) => byPathName.get(pathName) ?? null };
}
