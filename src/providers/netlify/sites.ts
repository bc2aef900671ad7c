import type { IdentifiedTarget, PlatformAccess, PlatformResource } from "../deployment-provider.ts";
import type { ProviderHttp } from "../http.ts";
import { ask, isRefusal } from "./client.ts";
import { isSite, isSiteList } from "./wire.ts";

const pageSize = 100;
const pagesMax = 10;
/** A site carries its whole last deploy along. */
const pageBytesMax = 32 * 1024 * 1024;

/** Checks the token and finds the site by its id, one of its domains, or its name. */
export async function identify(http: ProviderHttp, access: PlatformAccess): Promise<IdentifiedTarget> {
	const site = await findSite(http, access);
	const productionBranch = site.build_settings?.repo_branch || null;
	return { target: { id: site.id, teamId: site.account_id }, name: site.name, productionBranch };
}

/** The account that the site belongs to: variables lie there, not with the site. */
export async function accountOf(http: ProviderHttp, access: PlatformAccess): Promise<string> {
	return access.target.teamId ?? (await findSite(http, access)).account_id;
}

/** The sites that the token can see, of one account where `teamId` is given; at most 1,000. */
export async function listResources(
	http: ProviderHttp,
	access: Pick<PlatformAccess, "credentials" | "signal"> & { teamId: string | null },
): Promise<PlatformResource[]> {
	const found: PlatformResource[] = [];
	for (let page = 1; page <= pagesMax; page += 1) {
		const query = { filter: "all", page, per_page: pageSize };
		const call = { path: "/sites", query, responseBytesMax: pageBytesMax };
		const sites = await ask(http, access, call, isSiteList);
		for (const { id, name, account_id: teamId, account_name: teamName } of sites) {
			found.push({ id, name, teamId, teamName: teamName || null });
		}
		if (sites.length < pageSize) break;
	}
	return found.filter((site) => access.teamId === null || site.teamId === access.teamId);
}

async function findSite(http: ProviderHttp, access: PlatformAccess) {
	const { id } = access.target;
	try {
		return await readSite(http, access, id);
	} catch (error) {
		// Netlify looks a site up by id or domain; a bare name is the first label of its own domain there.
		if (!isRefusal(error, "not_found") || !/^[A-Za-z0-9-]+$/.test(id)) throw error;
		return readSite(http, access, `${id}.netlify.app`);
	}
}

function readSite(http: ProviderHttp, access: PlatformAccess, id: string) {
	return ask(http, access, { path: `/sites/${encodeURIComponent(id)}` }, isSite);
}
