import { onTestFinished } from "vitest";
import type {
	DeploymentProvider,
	DesiredVariable,
	PlatformAccess,
} from "../../src/providers/deployment-provider.ts";
import { ProviderError } from "../../src/providers/errors.ts";
import { createVercel } from "../../src/providers/vercel/index.ts";
import { type FakeVercel, startFakeVercel } from "../fakes/vercel.ts";

export type VercelSite = {
	fake: FakeVercel;
	vercel: DeploymentProvider;
	project: ReturnType<FakeVercel["addProject"]>;
	access: PlatformAccess;
};

/** Our client, a fake Vercel with one project of a team, and a token that may do everything there. */
export async function startVercelSite(): Promise<VercelSite> {
	const fake = await startFakeVercel();
	onTestFinished(() => fake.close());
	const { clientId, clientSecret, slug } = fake.integration;
	const vercel = createVercel({ origin: fake.origin, oauth: { clientId, clientSecret, slug } });
	const project = fake.addProject();
	const access = {
		credentials: { token: fake.addToken() },
		target: { id: project.id, teamId: fake.teamId },
	};
	return { fake, vercel, project, access };
}

/** The failure that a call is expected to end in. */
export async function refusalOf(call: Promise<unknown>): Promise<ProviderError> {
	try {
		await call;
	} catch (error) {
		if (error instanceof ProviderError) return error;
		throw error;
	}
	throw new Error("The call was not refused.");
}

export function databaseUrl(value: string, changes: Partial<DesiredVariable> = {}): DesiredVariable {
	const targets = ["production", "preview"];
	return { key: "DATABASE_URL", value, fingerprint: `of ${value}`, branch: null, targets, ...changes };
}

/** The requests since `from`, as "POST /v1/webhooks". */
export function calls(fake: FakeVercel, from = 0): string[] {
	return fake.requests.slice(from).map(({ method, path }) => `${method} ${path}`);
}
