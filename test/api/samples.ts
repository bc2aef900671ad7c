import type { Scope } from "../../src/core/principal.ts";
import { streamEvent } from "../fixtures/auth0/webhooks.ts";
import { signedSimply, simpleDeliveries } from "../fixtures/better-auth/webhooks.ts";
import { signingSecret } from "../integrations/clerk-server.ts";
import type { Operation } from "./operations.ts";
import type { World } from "./world.ts";

export type Sample = {
	/** What the operation answers when all is well. */
	status: number;
	body?: object;
	/** Where its own scope is not enough: what it needs beside that. */
	alsoNeeds?: Scope[];
	/** For routes whose bytes are signed. */
	raw?: { rawBody: string; headers: Record<string, string> };
};

/**
 * A good request for an operation, to be sent with the ids of the world's own tenant. Throws for an operation that
 * nobody has written one for: a new route gets its line here, and is then covered by all tests of this folder.
 */
export function sampleOf(world: World, operation: Operation): Sample {
	const sample = samplesOf(world)[operation.id];
	if (sample) return sample;
	const needsNothing = operation.method === "GET" && !operation.isPublic;
	if (needsNothing) return { status: 200 };
	throw new Error(`Write a sample request for ${operation.id} (${operation.method} ${operation.path}).`);
}

function samplesOf({ clerk, vercel, netlify, receiver }: World): Record<string, Sample> {
	return {
		getStatus: { status: 200 },
		getHealth: { status: 200 },
		getReadiness: { status: 200 },
		receiveClerk: {
			status: 200,
			raw: rawOf(clerk.signedWebhook("session.ended", { id: "sess_2" }, { secret: signingSecret })),
		},
		// Neither platform is connected: what each is told then differs.
		receiveVercel: { status: 404, raw: { rawBody: "{}", headers: {} } },
		receiveNetlify: { status: 401, raw: { rawBody: "{}", headers: {} } },
		receiveBetterAuth: {
			status: 200,
			raw: rawOf(signedSimply(simpleDeliveries["session.created"], signingSecret)),
		},
		receiveAuth0: {
			status: 200,
			raw: {
				rawBody: JSON.stringify(streamEvent("organization.created", { id: "org_1" })),
				headers: { "content-type": "application/json", authorization: `Bearer ${signingSecret}` },
			},
		},
		createOrganization: { status: 201, body: { name: "sample" } },
		updateOrganization: { status: 200, body: { name: "renamed" } },
		createApiKey: {
			status: 201,
			body: { name: "sample", scopes: ["jobs:read"] },
			// No key makes one that may do more.
			alsoNeeds: ["jobs:read"],
		},
		revokeApiKey: { status: 200 },
		createProject: { status: 201, body: { name: "sample" } },
		updateProject: { status: 200, body: { name: "renamed" } },
		deleteProject: { status: 202 },
		rotateProjectCredentials: { status: 202, body: { grace_hours: 0 } },
		createPreviewDatabase: { status: 202, body: { name: "sample" } },
		deletePreviewDatabase: { status: 202 },
		resetPreviewDatabase: { status: 202 },
		extendPreviewDatabase: { status: 200, body: { ttl_hours: 2 } },
		retryJob: { status: 202 },
		putIntegration: { status: 200, body: { config: { redeploy: true } } },
		deleteIntegration: { status: 200 },
		connectClerk: {
			status: 201,
			body: { secret_key: clerk.secretKey, webhook_signing_secret: signingSecret },
		},
		connectVercel: {
			status: 201,
			body: { vercel_project_id: vercel.project.id, team_id: vercel.teamId, token: vercel.token },
		},
		connectNetlify: { status: 201, body: { site_id: netlify.site.id, token: netlify.token } },
		syncIntegration: { status: 202 },
		listIntegrationResources: { status: 400 },
		// The world's provider has no OAuth, and no browser comes back without a flow: test/oauth has those that do.
		startOAuth: { status: 400 },
		receiveOAuthCallback: { status: 400 },
		confirmOAuth: { status: 400 },
		replayIntegrationEvent: { status: 202 },
		eraseEventPayload: { status: 200 },
		replayWebhookEndpoint: { status: 202, body: { since: "2026-01-01T00:00:00Z" } },
		publishEvents: { status: 202, body: { type: "sample.sent", data: { a: 1 } } },
		createWebhookEndpoint: { status: 201, body: { url: `${receiver.url}/sample` } },
		updateWebhookEndpoint: { status: 200, body: { description: "changed" } },
		deleteWebhookEndpoint: { status: 200 },
		rotateWebhookEndpointSecret: { status: 200, body: { grace_hours: 1 } },
		testWebhookEndpoint: { status: 202 },
		redeliverWebhookDelivery: { status: 202 },
	};
}

function rawOf(signed: { body: string; headers: Record<string, string> }): NonNullable<Sample["raw"]> {
	return { rawBody: signed.body, headers: signed.headers };
}
