import type { DeploymentProvider, PlatformAccess } from "../../src/providers/deployment-provider.ts";
import { createNetlify } from "../../src/providers/netlify/index.ts";
import { type FakeNetlify, startFakeNetlify } from "../fakes/netlify.ts";
import { refused, type Vendor } from "./check.ts";

const url = "https://capydb.example.com/hook";
const secret = "signing-secret";

export const netlify: Vendor = {
	name: "Netlify",
	document: "netlify/swagger-subset.json",
	undocumented: {
		"POST /api/v1/deploys/{id}/retry": "used by Netlify's own pages",
		"POST /api/v1/sites/{id}/builds": "left out of the subset",
		"POST /oauth/token": "described in the documentation of OAuth only",
	},
	undocumentedParameters: {
		"GET /hooks/types?site_id": "read by Netlify's own code, and left out of the published document",
	},
	nullIsAbsent: true,
	// What is missing is refused everywhere; only the deletion of a hook does not say so.
	commonStatuses: [404],
	async exercise(record) {
		const fake = await startFakeNetlify();
		try {
			const { clientId, clientSecret } = fake.oauth;
			const client = createNetlify({ origin: await record(fake.origin), oauth: { clientId, clientSecret } });
			const target = { id: fake.site.id, teamId: fake.site.accountId };
			const access = { credentials: { token: fake.token }, target };
			await connect(fake, client, access);
			await exerciseVariables(client, access);
			await exerciseHooks(fake, client, access);
			await exerciseDeploys(fake, client, access);
			await exerciseOAuth(fake, client);
		} finally {
			await fake.close();
		}
	},
};

async function connect(fake: FakeNetlify, client: DeploymentProvider, access: PlatformAccess): Promise<void> {
	const { credentials } = access;
	await client.identify(access);
	await client.identify({ credentials, target: { id: fake.site.name, teamId: null } });
	await refused(client.identify({ ...access, credentials: { token: "nfp_wrong" } }));
	await refused(client.identify({ credentials, target: { id: "unknown", teamId: null } }));
	fake.rateLimitNext(1);
	await refused(client.identify(access));
	await client.listResources({ credentials, teamId: null });
}

async function exerciseVariables(client: DeploymentProvider, access: PlatformAccess): Promise<void> {
	const targets = [...client.variableTargets];
	const desire = (value: string, branch: string | null) =>
		["A", "B"].map((key) => ({
			key,
			value,
			fingerprint: value,
			branch,
			targets: branch === null ? targets : [],
		}));
	const first = await client.pushVariables(access, { desired: desire("one", null), owned: [] });
	const second = await client.pushVariables(access, { desired: desire("two", null), owned: first.owned });
	const branch = await client.pushVariables(access, {
		desired: desire("three", "feature/x"),
		owned: second.owned,
	});
	await client.removeVariables(access, branch.owned);
	await client.removeVariables(access, second.owned);
}

async function exerciseHooks(
	fake: FakeNetlify,
	client: DeploymentProvider,
	access: PlatformAccess,
): Promise<void> {
	const { hooks } = await client.registerHook(access, { url, secret });
	await client.registerHook(access, { url, secret });
	await client.listHooks(access);
	fake.disableHook(hooks[0]?.id ?? "");
	fake.dropHook(hooks[1]?.id ?? "");
	await client.checkHook(access, { hooks, url, secret });
	for (const { id } of hooks) await client.deleteHook(access, id);
	fake.failNext(422, { method: "POST" });
	await refused(client.registerHook(access, { url, secret }));
}

async function exerciseDeploys(
	fake: FakeNetlify,
	client: DeploymentProvider,
	access: PlatformAccess,
): Promise<void> {
	const { id } = fake.report({ branch: "feature/x", context: "deploy-preview", state: "ready" });
	fake.report({ state: "error", error_message: "Failed during stage 'building site'" });
	await client.listDeployments(access, { since: new Date(0), cursor: null });
	await client.readDeployment(access, id);
	await refused(client.readDeployment(access, "unknown"));
	await client.redeploy(access, { deploymentId: id, branch: "feature/x" });
	await client.redeploy(access, { deploymentId: "unknown", branch: "feature/x" });
}

async function exerciseOAuth(fake: FakeNetlify, { oauth }: DeploymentProvider): Promise<void> {
	if (oauth === null) throw new Error("The exercise needs OAuth.");
	const redirectUri = "https://capydb.example.com/callback";
	const callback = oauth.readCallback({ code: fake.issueCode(redirectUri) });
	if (callback?.kind !== "granted") throw new Error("The callback is no grant.");
	const input = { callback, redirectUri, codeVerifier: "", now: new Date() };
	await oauth.nameAccount(await oauth.exchangeCode(input));
	await refused(oauth.exchangeCode(input));
}
