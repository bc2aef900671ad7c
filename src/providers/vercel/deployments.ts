import type { Deployment, DeploymentPage, DeploymentState, PlatformAccess } from "../deployment-provider.ts";
import { ProviderError } from "../errors.ts";
import type { ProviderHttp } from "../http.ts";
import { ask, provider, scopeOf } from "./client.ts";
import { describeCommit } from "./commit.ts";
import { contextOf, withScheme } from "./webhook.ts";
import {
	isDeployment,
	isDeploymentCreated,
	isDeploymentPage,
	toMoment,
	type VercelDeployment,
} from "./wire.ts";

const pageSize = 100;

/** A blocked deployment waits for somebody's leave; a deleted one has no state that matters. */
const states: Record<string, DeploymentState> = {
	QUEUED: "created",
	BLOCKED: "created",
	INITIALIZING: "building",
	BUILDING: "building",
	READY: "ready",
	ERROR: "failed",
	CANCELED: "canceled",
};

/** One page of `GET /v6/deployments`, newest first; our cursor is the time that Vercel's `next` gives for `until`. */
export async function listDeployments(
	http: ProviderHttp,
	access: PlatformAccess,
	{ since, cursor }: { since: Date; cursor: string | null },
): Promise<DeploymentPage> {
	const { target } = access;
	const query = {
		...scopeOf(target.teamId),
		projectId: target.id,
		limit: pageSize,
		// "After" in Vercel's words, and "at or after" in ours.
		since: Math.max(0, since.getTime() - 1),
		until: cursor ?? undefined,
	};
	const { deployments, pagination } = await ask(
		http,
		access,
		{ path: "/v6/deployments", query },
		isDeploymentPage,
	);
	const next = Number(pagination.next ?? Number.NaN);
	if (cursor !== null && next >= Number(cursor)) {
		const sentence = "Vercel's list of deployments does not advance.";
		throw new ProviderError("unexpected_answer", sentence, { provider });
	}
	const isLast = Number.isNaN(next) || deployments.length === 0 || next < since.getTime();
	return {
		deployments: deployments.flatMap((deployment) => toDeployment(deployment) ?? []),
		cursor: isLast ? null : String(next),
	};
}

/** `GET /v13/deployments/{id}`: the only place with the code of a failure. */
export async function readDeployment(
	http: ProviderHttp,
	access: PlatformAccess,
	deploymentId: string,
): Promise<Deployment> {
	const deployment = toDeployment(await fetchDeployment(http, access, deploymentId));
	if (deployment !== null) return deployment;
	throw new ProviderError("not_found", "Vercel has deleted this deployment.", { provider });
}

/**
 * `POST /v13/deployments?forceNew=1` with the earlier deployment's id, as Vercel's own command line does. The mark in
 * `meta` is what tells the new one from a push.
 */
export async function redeploy(
	http: ProviderHttp,
	access: PlatformAccess,
	{ deploymentId }: { deploymentId: string },
): Promise<{ deploymentId: string | null }> {
	const earlier = await fetchDeployment(http, access, deploymentId);
	const body = {
		name: earlier.name ?? access.target.id,
		deploymentId,
		meta: { action: "redeploy" },
		...(earlier.target ? { target: earlier.target } : {}),
	};
	const query = { ...scopeOf(access.target.teamId), forceNew: "1" };
	const call = { method: "POST" as const, path: "/v13/deployments", query, body };
	const { id } = await ask(http, access, call, isDeploymentCreated);
	return { deploymentId: id ?? null };
}

async function fetchDeployment(
	http: ProviderHttp,
	access: PlatformAccess,
	deploymentId: string,
): Promise<VercelDeployment> {
	const path = `/v13/deployments/${encodeURIComponent(deploymentId)}`;
	return ask(http, access, { path, query: scopeOf(access.target.teamId) }, isDeployment);
}

function toDeployment(deployment: VercelDeployment): Deployment | null {
	const id = deployment.uid ?? deployment.id;
	const reached = states[deployment.readyState ?? deployment.state ?? ""];
	if (id === undefined || reached === undefined) return null;
	const isPromoted =
		reached === "ready" && deployment.readySubstate === "PROMOTED" && deployment.target === "production";
	const state = isPromoted ? "promoted" : reached;
	const commit = describeCommit(deployment.meta ?? {});
	return {
		id,
		targetId: deployment.projectId ?? null,
		state,
		...contextOf(state, deployment.target, deployment.customEnvironment?.id),
		...commit,
		isRedeploy: commit.isRedeploy || deployment.source === "redeploy",
		url: withScheme(deployment.url),
		inspectUrl: withScheme(deployment.inspectorUrl),
		errorCode: vendorWord(deployment.errorCode),
		createdAt: toMoment(deployment.createdAt ?? deployment.created),
		occurredAt: latestMoment(deployment),
	};
}

/** The list has no time for a failure: the last step that it does time is the earliest that it can have been. */
function latestMoment(deployment: VercelDeployment): Date | null {
	const { created, createdAt, buildingAt, ready, buildErrorAt, canceledAt } = deployment;
	const known = [created, createdAt, buildingAt, ready, buildErrorAt, canceledAt];
	return toMoment(Math.max(0, ...known.map((moment) => moment ?? 0)));
}

function vendorWord(code: string | null | undefined): string | null {
	return code?.replace(/[^A-Za-z0-9_.-]/g, "").slice(0, 100) || null;
}
