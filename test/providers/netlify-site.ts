import { onTestFinished } from "vitest";
import type {
	DeploymentProvider,
	DesiredVariable,
	PlatformAccess,
} from "../../src/providers/deployment-provider.ts";
import { ProviderError } from "../../src/providers/errors.ts";
import { createNetlify } from "../../src/providers/netlify/index.ts";
import { type FakeNetlify, type FakeNetlifyOptions, startFakeNetlify } from "../fakes/netlify.ts";

export const token = "nfp_c2VjcmV0LXRva2Vu";
export const client = { clientId: "netlify-client", clientSecret: "netlify-client-secret" };

export type NetlifySite = { fake: FakeNetlify; netlify: DeploymentProvider; access: PlatformAccess };

/** A Netlify with one site, our provider that talks to it, and the access of an integration connected to it. */
export async function startNetlify(options: FakeNetlifyOptions = {}): Promise<NetlifySite> {
	const fake = await startFakeNetlify({ token, ...options });
	onTestFinished(() => fake.close());
	const netlify = createNetlify({ origin: fake.origin, oauth: client });
	const target = { id: fake.site.id, teamId: fake.site.accountId };
	return { fake, netlify, access: { credentials: { token }, target } };
}

/** The refusal that a call ends in; it must hold nothing that we sent in confidence. */
export async function failure(promise: Promise<unknown>): Promise<ProviderError> {
	const error = await promise.then(
		() => null,
		(thrown: unknown) => thrown,
	);
	if (!(error instanceof ProviderError))
		throw new Error("It did not fail as a provider does.", { cause: error });
	const text = `${error.message} ${error.vendorCode} ${error.stack} ${JSON.stringify(error)}`;
	for (const secret of [token, client.clientSecret, "postgres://"]) {
		if (text.includes(secret)) throw new Error("The failure repeats a secret.");
	}
	return error;
}

/** The project's own two variables with that value, or those of a branch. */
export function urls(value: string, changes: Partial<DesiredVariable> = {}): DesiredVariable[] {
	return ["DATABASE_URL", "DATABASE_URL_UNPOOLED"].map((key) => ({
		key,
		value: `postgres://${value}`,
		fingerprint: `sha256-of-${value}`,
		branch: null,
		targets: changes.branch ? [] : ["production", "deploy-preview", "branch-deploy"],
		...changes,
	}));
}
