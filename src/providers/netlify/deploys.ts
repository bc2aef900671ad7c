import type { Deployment, DeploymentPage, DeploymentState, PlatformAccess } from "../deployment-provider.ts";
import type { ProviderHttp } from "../http.ts";
import { ask, isRefusal } from "./client.ts";
import { withoutAddresses } from "./redact.ts";
import { isBuild, isDeploy, isDeployList, type NetlifyDeploy, toMoment } from "./wire.ts";

/** The most that the list gives at once. */
const pageSize = 100;
/** A large site's deploys name thousands of digests each. */
const pageBytesMax = 64 * 1024 * 1024;

/**
 * One page of the site's deploys, newest first. Paging is by number: deploys that begin meanwhile push others to the
 * next page, so that some come twice, never not at all.
 */
export async function listDeployments(
	http: ProviderHttp,
	access: PlatformAccess,
	{ since, cursor }: { since: Date; cursor: string | null },
): Promise<DeploymentPage> {
	const page = cursor === null ? 1 : Number(cursor);
	const path = `/sites/${encodeURIComponent(access.target.id)}/deploys`;
	const call = { path, query: { page, per_page: pageSize }, responseBytesMax: pageBytesMax };
	const deploys = await ask(http, access, call, isDeployList);
	const isRecent = (deploy: NetlifyDeploy) => (toMoment(deploy.created_at) ?? since) >= since;
	const oldest = deploys.at(-1);
	const isLast = oldest === undefined || deploys.length < pageSize || !isRecent(oldest);
	return {
		deployments: deploys.filter(isRecent).map((deploy) => toDeployment(deploy, null)),
		cursor: isLast ? null : String(page + 1),
	};
}

export async function readDeployment(
	http: ProviderHttp,
	access: PlatformAccess,
	deploymentId: string,
): Promise<Deployment> {
	const path = `/deploys/${encodeURIComponent(deploymentId)}`;
	return toDeployment(await ask(http, access, { path, responseBytesMax: pageBytesMax }, isDeploy), null);
}

/**
 * Begins the deploy again (`POST /deploys/{id}/retry`, which Netlify's own pages use and its specification leaves
 * out): only so does a deploy preview stay one. Where that call is not known the branch is built
 * (`POST /sites/{id}/builds`), as a branch deploy.
 */
export async function redeploy(
	http: ProviderHttp,
	access: PlatformAccess,
	{ deploymentId, branch }: { deploymentId: string; branch: string },
): Promise<{ deploymentId: string | null }> {
	const retry = { method: "POST" as const, path: `/deploys/${encodeURIComponent(deploymentId)}/retry` };
	try {
		const { id } = await ask(http, access, { ...retry, responseBytesMax: pageBytesMax }, isDeploy);
		return { deploymentId: id };
	} catch (error) {
		// Begun all the same, when it answers something else than a deploy.
		if (isRefusal(error, "unexpected_answer") && (error.status ?? 200) < 300) return { deploymentId: null };
		if (!isRefusal(error, "not_found")) throw error;
	}
	const path = `/sites/${encodeURIComponent(access.target.id)}/builds`;
	const build = await ask(http, access, { method: "POST", path, query: { branch } }, isBuild);
	return { deploymentId: build.deploy_id || null };
}

/** What a deploy says, in the list, by itself, or as an `event` brought it. */
export function toDeployment(deploy: NetlifyDeploy, event: string | null): Deployment {
	const context = deploy.context || "production";
	return {
		id: deploy.id,
		targetId: deploy.site_id ?? null,
		state: stateOf(deploy, event),
		context,
		isPreview: context !== "production" && Boolean(deploy.branch),
		isRedeploy: false,
		branch: deploy.branch || null,
		commitSha: deploy.commit_ref || null,
		commitMessage: deploy.title ? withoutAddresses(deploy.title) : null,
		commitAuthor: deploy.committer ? withoutAddresses(deploy.committer) : null,
		pullRequest: Number.isSafeInteger(deploy.review_id) ? (deploy.review_id ?? null) : null,
		isFork: isFork(deploy),
		url: webAddress(deploy.deploy_ssl_url || deploy.deploy_url || deploy.ssl_url || deploy.url),
		inspectUrl: inspectUrl(deploy),
		errorCode: null,
		createdAt: toMoment(deploy.created_at),
		occurredAt: toMoment(deploy.updated_at) ?? toMoment(deploy.created_at),
	};
}

/**
 * The state that the signed body names counts, not the event's name, which anyone could change; only that an older
 * deploy was published again can be told by nothing else. States that Netlify adds mean that it still works on it.
 */
function stateOf(deploy: NetlifyDeploy, event: string | null): DeploymentState {
	switch (deploy.state) {
		case "ready":
			return event === "deploy_restored" ? "promoted" : "ready";
		case "error":
			return isCanceled(deploy) ? "canceled" : "failed";
		case "rejected":
			return "failed";
		case "new":
		case "pending_review":
		case "accepted":
		case "enqueued":
			return "created";
		default:
			return "building";
	}
}

/** Netlify has no state for it: a build that was cancelled, or that had nothing to do, fails and says so. */
function isCanceled({ skipped, error_message: message }: NetlifyDeploy): boolean {
	return skipped === true || /^skipped\b|\bcancell?ed\b/i.test(message ?? "");
}

/**
 * A branch deploy is of the site's own repository. A pull request's page lies with the repository that it asks, its
 * commit with the one that it comes from.
 */
function isFork(deploy: NetlifyDeploy): boolean | null {
	if (!deploy.review_id && !deploy.review_url) return deploy.context === "deploy-preview" ? null : false;
	const base = repositoryOf(
		deploy.review_url,
		/^(.+?)(?:\/-)?\/(?:pull|pulls|pull-requests|merge_requests)\/\d+/,
	);
	const head = repositoryOf(deploy.commit_url, /^(.+?)(?:\/-)?\/commits?\/[0-9a-f]+/i);
	return base === null || head === null ? null : base !== head;
}

function repositoryOf(url: string | null | undefined, pattern: RegExp): string | null {
	const parsed = url ? URL.parse(url) : null;
	const path = pattern.exec(parsed?.pathname ?? "")?.[1];
	return parsed === null || path === undefined ? null : `${parsed.host}${path}`.toLowerCase();
}

function inspectUrl(deploy: NetlifyDeploy): string | null {
	const site = webAddress(deploy.admin_url);
	return site === null ? null : `${site}/deploys/${encodeURIComponent(deploy.id)}`;
}

function webAddress(url: string | null | undefined): string | null {
	const parsed = url ? URL.parse(url) : null;
	if (parsed === null || !/^https?:$/.test(parsed.protocol)) return null;
	return parsed.href.replace(/\/$/, "");
}
