import type { DesiredVariable, OwnedVariable, PlatformAccess } from "../deployment-provider.ts";
import type { ProviderHttp } from "../http.ts";
import { ask, scopeOf } from "./client.ts";
import { isVariableList, type VercelVariable } from "./wire.ts";

/** Shown in Vercel's dashboard; it also tells a variable of ours, whose write was never recorded, from the user's. */
export const comment = "Managed by CapyDB";

/** A variable as it stands: never with its value, which Vercel does not give back. */
export type Standing = {
	id: string;
	key: string;
	isSensitive: boolean;
	targets: string[];
	/** It is also that of environments which the user made, and which are never ours. */
	isCustom: boolean;
	branch: string | null;
	isMarked: boolean;
	version: string | null;
};

export async function readVariables(http: ProviderHttp, access: PlatformAccess): Promise<Standing[]> {
	const { envs } = await ask(http, access, { path: pathOf(access), query: scope(access) }, isVariableList);
	return envs.flatMap((variable) => toStanding(variable) ?? []);
}

export function pathOf({ target }: PlatformAccess): string {
	return `/v10/projects/${encodeURIComponent(target.id)}/env`;
}

export function scope({ target }: PlatformAccess) {
	return scopeOf(target.teamId);
}

function toStanding(variable: VercelVariable): Standing | null {
	if (variable.id === undefined) return null;
	const { target } = variable;
	return {
		id: variable.id,
		key: variable.key,
		isSensitive: variable.type === "sensitive",
		targets: typeof target === "string" ? [target] : (target ?? []),
		isCustom: (variable.customEnvironmentIds ?? []).length > 0,
		branch: variable.gitBranch || null,
		isMarked: variable.comment === comment,
		version: typeof variable.updatedAt === "number" ? String(variable.updatedAt) : null,
	};
}

export function isUnchanged(
	variable: DesiredVariable,
	standing: readonly Standing[],
	owned: readonly OwnedVariable[],
): boolean {
	const record = recordOf(variable, owned);
	const own = ownOf(variable, standing, owned);
	return (
		record !== undefined &&
		own !== null &&
		record.fingerprint === variable.fingerprint &&
		record.version === own.version &&
		own.isSensitive &&
		sameTargets(own.targets, targetsOf(variable))
	);
}

function recordOf(variable: DesiredVariable, owned: readonly OwnedVariable[]): OwnedVariable | undefined {
	return owned.find(({ key, branch }) => key === variable.key && branch === variable.branch);
}

export function isOwned({ id }: Standing, owned: readonly OwnedVariable[]): boolean {
	return owned.some((record) => record.id === id);
}

export function ownOf(
	variable: DesiredVariable,
	standing: readonly Standing[],
	owned: readonly OwnedVariable[],
): Standing | null {
	const id = recordOf(variable, owned)?.id;
	return standing.find((each) => each.id === id && each.key === variable.key) ?? null;
}

/** Vercel scopes a variable to a branch within the preview target. */
export function targetsOf(variable: DesiredVariable): readonly string[] {
	return variable.branch === null ? variable.targets : ["preview"];
}

/** Everything of that name that has one of its targets, itself included. */
export function rivalsOf(variable: DesiredVariable, standing: readonly Standing[]): Standing[] {
	const targets = targetsOf(variable);
	return standing.filter(
		({ key, branch, targets: theirs }) =>
			key === variable.key && branch === variable.branch && theirs.some((target) => targets.includes(target)),
	);
}

export function sameTargets(left: readonly string[], right: readonly string[]): boolean {
	return left.length === right.length && left.every((target) => right.includes(target));
}
