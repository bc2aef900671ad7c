import type { DeploymentProvider, PlatformAccess } from "../../src/providers/deployment-provider.ts";
import { createVercel } from "../../src/providers/vercel/index.ts";
import { type FakeVercel, startFakeVercel } from "../fakes/vercel.ts";
import { refused, type Vendor } from "./check.ts";

export const vercel: Vendor = {
	name: "Vercel",
	document: "vercel/official/openapi-subset.json",
	undocumented: {
		"POST /v2/oauth/access_token": "described in the documentation of integrations only",
		"POST /v13/deployments": "left out of the subset",
	},
	// Listed for some operations only, and given by all.
	commonStatuses: [404, 429],
	async exercise(record) {
		const fake = await startFakeVercel();
		try {
			const { clientId, clientSecret, slug } = fake.integration;
			const oauth = { clientId, clientSecret, slug };
			const client = createVercel({ origin: await record(fake.origin), oauth });
			const project = fake.addProject();
			const token = fake.addToken();
			const access = { credentials: { token }, target: { id: project.id, teamId: fake.teamId } };
			await connect(fake, client, access);
			await exerciseVariables(fake, client, access);
			await exerciseHooks(fake, client, access);
			await exerciseDeployments(fake, client, access);
			await exerciseOAuth(fake, client);
		} finally {
			await fake.close();
		}
	},
};

async function connect(fake: FakeVercel, client: DeploymentProvider, access: PlatformAccess): Promise<void> {
	const { credentials, target } = access;
	await client.identify(access);
	await client.identify({ credentials, target: { id: "web", teamId: "acme" } });
	await refused(client.identify({ credentials: { token: "vct_wrong" }, target }));
	await refused(client.identify({ credentials, target: { ...target, id: "unknown" } }));
	fake.rateLimitNext(1, { retryAfter: 1 });
	await refused(client.identify(access));
	fake.addProject({ name: "uploads", link: null });
	fake.addProject({ name: "blog", accountId: fake.userId });
	await client.listResources({ credentials, teamId: null });
	const narrow = fake.addToken({ projectId: target.id });
	await client.listResources({ credentials: { token: narrow }, teamId: fake.teamId });
}

async function exerciseVariables(
	fake: FakeVercel,
	client: DeploymentProvider,
	access: PlatformAccess,
): Promise<void> {
	const project = fake.projects.get(access.target.id);
	if (project === undefined) throw new Error("The fake lost its project.");
	fake.addVariable(project, { key: "A", target: ["production", "preview", "development"] });
	fake.addVariable(project, { key: "B" });
	const desire = (value: string, targets: string[]) => [
		...["A", "B"].map((key) => ({ key, value, fingerprint: value, branch: null, targets })),
		{ key: "A", value, fingerprint: value, branch: "feature/x", targets: [] },
	];
	const both = ["production", "preview"];
	const first = await client.pushVariables(access, { desired: desire("one", both), owned: [] });
	const second = await client.pushVariables(access, {
		desired: desire("two", ["production"]),
		owned: first.owned,
	});
	fake.failVariable("ENV_CONFLICT");
	fake.failVariable("ENV_CONFLICT");
	const desired = [{ key: "C", value: "one", fingerprint: "one", branch: null, targets: both }];
	await refused(client.pushVariables(access, { desired, owned: second.owned }));
	await client.removeVariables(access, second.owned);
}

async function exerciseHooks(
	fake: FakeVercel,
	client: DeploymentProvider,
	access: PlatformAccess,
): Promise<void> {
	const url = "https://capydb.example.com/hook";
	const { hooks } = await client.registerHook(access, { url, secret: "unused" });
	await client.checkHook(access, { hooks, url, secret: null });
	await client.listHooks(access);
	for (const { id } of hooks) {
		await client.deleteHook(access, id);
		await client.deleteHook(access, id);
	}
	await client.checkHook(access, { hooks, url, secret: null });
	const token = fake.addToken({ projectId: access.target.id });
	await refused(client.registerHook({ ...access, credentials: { token } }, { url, secret: "unused" }));
}

async function exerciseDeployments(
	fake: FakeVercel,
	client: DeploymentProvider,
	access: PlatformAccess,
): Promise<void> {
	const project = fake.projects.get(access.target.id);
	if (project === undefined) throw new Error("The fake lost its project.");
	const made = (["ready", "error", "canceled", "promoted"] as const).map((outcome) => {
		const { deployment } = fake.deploy(project, { branch: "x" });
		fake.finish(deployment, outcome);
		return deployment;
	});
	fake.deploy(project, { branch: "main", target: "production" });
	fake.deploy(project, { branch: "qa", customEnvironmentId: "env_qa" });
	fake.limitDeploymentPages(4);
	const since = new Date(0);
	const { cursor } = await client.listDeployments(access, { since, cursor: null });
	await client.listDeployments(access, { since, cursor });
	for (const { id } of made) await client.readDeployment(access, id);
	await refused(client.readDeployment(access, "dpl_unknown"));
	await client.redeploy(access, { deploymentId: made[0]?.id ?? "", branch: "x" });
}

async function exerciseOAuth(fake: FakeVercel, { oauth }: DeploymentProvider): Promise<void> {
	if (oauth === null) throw new Error("The exercise needs OAuth.");
	const { redirectUri } = fake.integration;
	const url = fake.install("state", fake.teamId);
	const callback = oauth.readCallback(Object.fromEntries(url.searchParams));
	if (callback?.kind !== "granted") throw new Error("The callback is no grant.");
	const input = { callback, redirectUri, codeVerifier: "", now: new Date() };
	const grant = await oauth.exchangeCode(input);
	await refused(oauth.exchangeCode(input));
	await oauth.nameAccount(grant);
	await oauth.nameAccount({ credentials: { token: fake.addToken() }, teamId: null });
	await oauth.revoke?.(grant);
	await oauth.revoke?.(grant);
}
