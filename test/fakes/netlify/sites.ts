import { randomUUID } from "node:crypto";
import type { NetlifyDeploy } from "../../fixtures/netlify/deploys.ts";
import { type Answer, type NetlifySite, type NetlifyState, newId, refusal, type Token } from "./state.ts";

export type SiteRequest = {
	method: string;
	first: string;
	rest: string[];
	query: Record<string, string>;
	token: Token;
	allows: (siteId: string) => "no" | "read" | "write";
	report: (changes: Partial<NetlifyDeploy>) => NetlifyDeploy;
};

const perPageMax = 100;

/** `/user`, `/accounts`, and the calls below `/sites` and `/deploys`. */
export function answerSites(state: NetlifyState, request: SiteRequest): Answer {
	const { method, first, rest } = request;
	if (first === "user" && rest.length === 0 && method === "GET") {
		return {
			status: 200,
			body: { id: request.token.userId, full_name: "Ada Beaver", email: "ada@example.com" },
		};
	}
	if (first === "accounts" && rest.length === 0 && method === "GET") {
		const accounts = [...state.accounts.values()].filter(({ id }) => request.token.accountIds.includes(id));
		return {
			status: 200,
			body: accounts.map(({ id, slug, name, plan }) => ({ id, slug, name, type_name: plan })),
		};
	}
	if (first === "sites") return answerSite(state, request);
	if (first === "deploys") return answerDeploy(state, request);
	return refusal(404, "Not Found");
}

function answerSite(state: NetlifyState, request: SiteRequest): Answer {
	const { method, rest, query } = request;
	const [name, action] = rest;
	if (name === undefined) {
		if (method !== "GET") return refusal(405, "Method Not Allowed");
		const seen = [...state.sites.values()].filter((site) => request.allows(site.id) !== "no");
		return page(
			query,
			seen.map((site) => siteDocument(state, site)),
		);
	}
	const site = findSite(state, name);
	const right = site === undefined ? "no" : request.allows(site.id);
	if (site === undefined || right === "no") return refusal(404, "Not Found");
	if (action === undefined && method === "GET") return { status: 200, body: siteDocument(state, site) };
	if (action === "deploys" && method === "GET") {
		const deploys = state.deploys.filter(
			(deploy) =>
				deploy.site_id === site.id &&
				(query.state === undefined || deploy.state === query.state) &&
				(query.branch === undefined || deploy.branch === query.branch),
		);
		return page(query, deploys);
	}
	if (action === "builds" && method === "POST") {
		if (right === "read") return refusal(403, "Forbidden");
		const branch = query.branch ?? "main";
		const context = branch === "main" ? "production" : "branch-deploy";
		return { status: 200, body: build(request.report({ site_id: site.id, branch, context })) };
	}
	return refusal(404, "Not Found");
}

function answerDeploy(state: NetlifyState, request: SiteRequest): Answer {
	const { method, rest } = request;
	const [id, action] = rest;
	const deploy = state.deploys.find((candidate) => candidate.id === id);
	const right = deploy === undefined ? "no" : request.allows(deploy.site_id);
	if (deploy === undefined || right === "no") return refusal(404, "Not Found");
	if (action === undefined && method === "GET") return { status: 200, body: deploy };
	if (action !== "retry" || method !== "POST") return refusal(404, "Not Found");
	if (right === "read") return refusal(403, "Forbidden");
	const now = new Date().toISOString();
	const again = request.report({
		...deploy,
		id: newId(),
		state: "building",
		created_at: now,
		updated_at: now,
	});
	return { status: 200, body: again };
}

function findSite(state: NetlifyState, name: string): NetlifySite | undefined {
	return (
		state.sites.get(name) ??
		[...state.sites.values()].find((site) => `${site.name}.netlify.app` === name.toLowerCase())
	);
}

function siteDocument(state: NetlifyState, site: NetlifySite) {
	const account = state.accounts.get(site.accountId);
	return {
		id: site.id,
		name: site.name,
		state: "current",
		url: `http://${site.name}.netlify.app`,
		ssl_url: `https://${site.name}.netlify.app`,
		admin_url: `https://app.netlify.com/sites/${site.name}`,
		account_id: site.accountId,
		account_name: account?.name ?? "",
		account_slug: account?.slug ?? "",
		build_settings: { provider: "github", repo_url: site.repository, repo_branch: "main", public_repo: true },
	};
}

function build(deploy: NetlifyDeploy) {
	return {
		id: randomUUID(),
		deploy_id: deploy.id,
		sha: deploy.commit_ref,
		done: false,
		created_at: deploy.created_at,
	};
}

/** One page, with the `Link` header that names the next (RFC 8288). */
function page(query: Record<string, string>, items: unknown[]): Answer {
	const number = Number(query.page ?? "1");
	const size = Number(query.per_page ?? String(perPageMax));
	if (!Number.isInteger(number) || number < 1) return refusal(422, "page is invalid");
	if (!Number.isInteger(size) || size < 1) return refusal(422, "per_page is invalid");
	const perPage = Math.min(size, perPageMax);
	const end = number * perPage;
	const next = `<https://api.netlify.com/?page=${number + 1}&per_page=${perPage}>; rel="next"`;
	return {
		status: 200,
		body: items.slice(end - perPage, end),
		...(end < items.length ? { headers: { link: next } } : {}),
	};
}
