import { Webhook } from "standardwebhooks";
import { describe, expect, it, onTestFinished } from "vitest";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createTenantHosts } from "../../src/platform/guarded-connector.ts";
import { createBetterAuthClient } from "../../src/providers/better-auth/client.ts";
import { ProviderError } from "../../src/providers/errors.ts";
import { betterAuthUser } from "../fixtures/better-auth/webhooks.ts";
import { type Reply, startReceiver } from "../support/receiver.ts";

const secret = `whsec_${Buffer.alloc(32, 3).toString("base64")}`;
const options = { includePrivateMetadata: false, signal: new AbortController().signal };

function clientBehind(allow: string[] | "any") {
	const guard = createAddressGuard({
		allow,
		resolver: async (host) => [{ address: host === "inside.example" ? "10.0.0.7" : "127.0.0.1", family: 4 }],
	});
	return createBetterAuthClient({ hosts: createTenantHosts(guard) });
}

async function startApplication(reply: Reply) {
	const application = await startReceiver();
	onTestFinished(() => application.close());
	application.respondWith(reply);
	return {
		application,
		credentials: { export_url: `${application.url}/export?of=all`, webhook_signing_secret: secret },
	};
}

function json(body: unknown): Reply {
	return { status: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

async function failure(call: Promise<unknown>): Promise<ProviderError> {
	const error = await call.then(
		() => null,
		(thrown: unknown) => thrown,
	);
	if (!(error instanceof ProviderError)) throw new Error(`No ProviderError: ${String(error)}`);
	return error;
}

describe("asking a Better Auth application for its users", () => {
	it("is signed so that the reference library of Standard Webhooks takes it, and names the page", async () => {
		const { application, credentials } = await startApplication(json({ users: [], cursor: null }));
		const page = await clientBehind("any").listUsers(credentials, "user-1", options);
		expect(page).toEqual({ users: [], cursor: null });
		const [request] = application.requests;
		expect([request?.method, request?.url]).toEqual(["POST", "/export?of=all"]);
		const body = new Webhook(secret).verify(String(request?.body), request?.headers ?? {});
		expect(body).toEqual({ type: "users.export", cursor: "user-1", limit: 500 });
	});

	it("gives users in our shape, without what must not be kept", async () => {
		const user = betterAuthUser({ twoFactorSecret: "totp-secret" });
		const { credentials } = await startApplication(json({ users: [user], cursor: "c" }));
		const page = await clientBehind("any").listUsers(credentials, null, options);
		expect(page).toMatchObject({
			cursor: "c",
			users: [{ id: user.id, email: user.email, firstName: "Ada" }],
		});
		expect(JSON.stringify(page)).not.toContain("totp-secret");
	});

	it.each([
		["a list that repeats its cursor", { users: [], cursor: "user-1" }],
		["a list that begins again", { users: [betterAuthUser({ id: "user-1" })], cursor: "user-2" }],
		["users without ids", { users: [{ email: "a@example.com" }], cursor: null }],
		["no list", { ok: true }],
		["nothing", null],
	])("ends with %s", async (_, answer) => {
		const { credentials } = await startApplication(json(answer));
		const error = await failure(clientBehind("any").listUsers(credentials, "user-1", options));
		expect(error.reason).toBe("unexpected_answer");
	});

	it("follows no redirect, so that the signed request goes to no other host", async () => {
		const { application, credentials } = await startApplication({
			status: 307,
			headers: { location: "/elsewhere" },
		});
		const error = await failure(clientBehind("any").listUsers(credentials, null, options));
		expect([error.reason, application.requests.length]).toEqual(["unexpected_answer", 1]);
	});

	it("needs a secret that can sign", async () => {
		const { application, credentials } = await startApplication(json({ users: [], cursor: null }));
		for (const webhook_signing_secret of ["", "not base64!"]) {
			const call = clientBehind("any").identify({ ...credentials, webhook_signing_secret });
			expect((await failure(call)).message).toContain("no signing secret");
		}
		expect(application.requests).toEqual([]);
	});
});

describe("the address guard before a Better Auth application", () => {
	it.each(["http://169.254.169.254/latest", "https://[::1]/export", "https://inside.example/export"])(
		"refuses %s when it is saved and when it is connected to",
		async (export_url) => {
			const credentials = { export_url, webhook_signing_secret: secret };
			const client = clientBehind([]);
			for (const call of [client.identify(credentials), client.listUsers(credentials, null, options)]) {
				const error = await failure(call);
				expect([error.reason, error.message]).toEqual([
					"invalid_request",
					expect.stringContaining("not allowed"),
				]);
			}
		},
	);

	it("lets plain http only to an allowlisted address", async () => {
		const { application, credentials } = await startApplication(json({ users: [], cursor: null }));
		const export_url = `http://app.example:${application.port}/export`;
		expect((await failure(clientBehind([]).identify({ ...credentials, export_url }))).reason).toBe(
			"invalid_request",
		);
		expect(application.requests).toEqual([]);
		expect(await clientBehind(["127.0.0.0/8"]).identify({ ...credentials, export_url })).toEqual({
			externalId: null,
		});
	});
});
