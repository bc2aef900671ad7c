import type { IdentifiedTarget, PlatformAccess, PlatformResource } from "../deployment-provider.ts";
import type { ProviderHttp } from "../http.ts";
import { ask, explained, isRefusal, scopeOf } from "./client.ts";
import { isProject, isProjectPage, isTeamPage } from "./wire.ts";

const resourcesMax = 1000;
const pageSize = 100;
const teamsMax = 50;

/**
 * Checks the token by reading the project (`GET /v9/projects/{idOrName}`), the one call that every kind of token
 * may make: a project-scoped one is refused on the user and on the team.
 */
export async function identify(http: ProviderHttp, access: PlatformAccess): Promise<IdentifiedTarget> {
	const { id, teamId } = access.target;
	try {
		const path = `/v9/projects/${encodeURIComponent(id)}`;
		const project = await ask(http, access, { path, query: scopeOf(teamId) }, isProject);
		const owner = project.accountId?.startsWith("team_") ? project.accountId : null;
		const target = { id: project.id, teamId: owner ?? teamId };
		return { target, name: project.name, productionBranch: project.link?.productionBranch ?? null };
	} catch (error) {
		if (!isRefusal(error, "not_found", "forbidden")) throw error;
		const scope =
			teamId === null
				? "If it belongs to a team, give `team_id`."
				: "Check `team_id`, and that the token may act for that team.";
		throw explained(error, `Vercel does not show this token such a project. ${scope}`);
	}
}

/**
 * The projects that the token can see, with their teams: in each of its teams and in the personal account. A token
 * that may not list teams sees those of the integration's own scope.
 */
export async function listResources(
	http: ProviderHttp,
	access: Pick<PlatformAccess, "credentials" | "signal"> & { teamId: string | null },
): Promise<PlatformResource[]> {
	const teams = await listTeams(http, access);
	const scopes = teams === null ? [{ id: access.teamId, name: null }] : [...teams, { id: null, name: null }];
	const found = new Map<string, PlatformResource>();
	for (const team of scopes) {
		for (const resource of await listProjects(http, access, team, teams !== null)) {
			// A token whose personal account is one of its teams shows that team's projects twice.
			if (!found.has(resource.id) && found.size < resourcesMax) found.set(resource.id, resource);
		}
		if (found.size >= resourcesMax) break;
	}
	return [...found.values()];
}

type Team = { id: string | null; name: string | null };

/** Null when the token may not list teams. */
export async function listTeams(
	http: ProviderHttp,
	access: Pick<PlatformAccess, "credentials" | "signal">,
): Promise<Team[] | null> {
	const teams: Team[] = [];
	let until: string | undefined;
	try {
		do {
			const query = { limit: pageSize, until };
			const page = await ask(http, access, { path: "/v2/teams", query }, isTeamPage);
			teams.push(...page.teams.map(({ id, name, slug }) => ({ id, name: name ?? slug ?? null })));
			until = advanced(until, page.pagination.next, page.teams.length);
		} while (until !== undefined && teams.length < teamsMax);
		return teams.slice(0, teamsMax);
	} catch (error) {
		if (isRefusal(error, "forbidden", "unauthorized")) return null;
		throw error;
	}
}

/** With `isOneOfMany` a scope that the token may not look into is passed over. */
async function listProjects(
	http: ProviderHttp,
	access: Pick<PlatformAccess, "credentials" | "signal">,
	team: Team,
	isOneOfMany: boolean,
): Promise<PlatformResource[]> {
	const resources: PlatformResource[] = [];
	let from: string | undefined;
	try {
		do {
			const query = { ...scopeOf(team.id), limit: pageSize, from };
			const page = await ask(http, access, { path: "/v10/projects", query }, isProjectPage);
			for (const { id, name, accountId } of page.projects) {
				const owner = accountId?.startsWith("team_") ? accountId : team.id;
				resources.push({ id, name, teamId: owner, teamName: team.name });
			}
			from = advanced(from, page.pagination.next, page.projects.length);
		} while (from !== undefined && resources.length < resourcesMax);
	} catch (error) {
		if (!isOneOfMany || !isRefusal(error, "forbidden", "not_found")) throw error;
	}
	return resources;
}

/** The next page's mark; undefined at the end, which an empty page or a mark that stands still is too. */
function advanced(
	mark: string | undefined,
	next: string | number | null | undefined,
	length: number,
): string | undefined {
	if (next === null || next === undefined || length === 0 || String(next) === mark) return undefined;
	return String(next);
}
