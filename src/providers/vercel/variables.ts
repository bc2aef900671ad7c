import type {
	DesiredVariable,
	OwnedVariable,
	PlatformAccess,
	VariablesPushed,
} from "../deployment-provider.ts";
import { ProviderError } from "../errors.ts";
import type { ProviderHttp } from "../http.ts";
import { ask, isRefusal, provider, tell } from "./client.ts";
import {
	comment,
	isOwned,
	isUnchanged,
	ownOf,
	pathOf,
	readVariables,
	rivalsOf,
	type Standing,
	sameTargets,
	scope,
	targetsOf,
} from "./standing-variables.ts";
import { isVariablesCreated } from "./wire.ts";

const conflictCodes = new Set(["ENV_CONFLICT", "ENV_ALREADY_EXISTS", "env_conflict", "env_already_exists"]);

type Input = { desired: readonly DesiredVariable[]; owned: readonly OwnedVariable[] };

/**
 * Reads the project's variables once and writes those that are not as we wrote them: ours by `PATCH`, others by
 * one `POST …?upsert=true`. Vercel replaces a variable in an upsert only when its targets are exactly the same
 * (else `ENV_CONFLICT`), cannot turn a readable variable into a sensitive one, and gives no value back; so whatever
 * stands in the way is first narrowed to the targets that are not ours, or removed.
 */
export async function pushVariables(
	http: ProviderHttp,
	access: PlatformAccess,
	{ desired, owned }: Input,
): Promise<VariablesPushed> {
	const standing = await readVariables(http, access);
	const due = desired.filter((variable) => !isUnchanged(variable, standing, owned));
	const takenOver = due.filter((variable) =>
		rivalsOf(variable, standing).some((rival) => !rival.isMarked && !isOwned(rival, owned)),
	);
	const toCreate: DesiredVariable[] = [];
	for (const variable of due) {
		const own = ownOf(variable, standing, owned);
		const isUpdated = own !== null && (await update(http, access, variable, own, standing));
		if (!isUpdated) toCreate.push(variable);
	}
	await create(http, access, toCreate, standing);
	const now = due.length === 0 ? standing : await readVariables(http, access);
	return {
		owned: desired.map((variable) => toOwned(variable, now)),
		written: due.map(keyAndBranch),
		takenOver: takenOver.map(keyAndBranch),
	};
}

/**
 * Deletes those that stand as we wrote them; one that is gone counts as removed. One without an id, whose write was
 * never recorded, is known by its mark.
 */
export async function removeVariables(
	http: ProviderHttp,
	access: PlatformAccess,
	owned: readonly OwnedVariable[],
): Promise<{ removed: OwnedVariable[]; kept: OwnedVariable[] }> {
	const standing = owned.length === 0 ? [] : await readVariables(http, access);
	const removed: OwnedVariable[] = [];
	const kept: OwnedVariable[] = [];
	for (const variable of owned) {
		const isUnrecorded = variable.id === "";
		const found = standing.find((each) =>
			isUnrecorded ? isMarkedAs(variable, each) && !isOwned(each, owned) : each.id === variable.id,
		);
		if (found !== undefined && !isUnrecorded && found.version !== variable.version) {
			kept.push(variable);
			continue;
		}
		if (found !== undefined) await remove(http, access, found);
		removed.push(variable);
	}
	return { removed, kept };
}

function isMarkedAs({ key, branch }: OwnedVariable, standing: Standing): boolean {
	return standing.isMarked && standing.key === key && standing.branch === branch;
}

/** False when it has to be created instead: it is gone, or it is not sensitive any more. */
async function update(
	http: ProviderHttp,
	access: PlatformAccess,
	variable: DesiredVariable,
	own: Standing,
	standing: readonly Standing[],
): Promise<boolean> {
	if (!own.isSensitive) return false;
	await clear(
		http,
		access,
		variable,
		standing.filter(({ id }) => id !== own.id),
	);
	try {
		const body = { value: variable.value, target: targetsOf(variable), comment };
		await tell(http, access, {
			method: "PATCH",
			path: variablePath(access, own),
			query: scope(access),
			body,
		});
		return true;
	} catch (error) {
		if (isRefusal(error, "not_found")) return false;
		throw error;
	}
}

function variablePath({ target }: PlatformAccess, { id }: Standing): string {
	return `/v9/projects/${encodeURIComponent(target.id)}/env/${encodeURIComponent(id)}`;
}

/** Makes room for a variable: what reaches beyond its targets keeps the rest, what does not goes. */
async function clear(
	http: ProviderHttp,
	access: PlatformAccess,
	variable: DesiredVariable,
	standing: readonly Standing[],
): Promise<void> {
	for (const rival of rivalsOf(variable, standing)) {
		const rest = rival.targets.filter((target) => !targetsOf(variable).includes(target));
		if (rival.isMarked || (rest.length === 0 && !rival.isCustom)) await remove(http, access, rival);
		else {
			const call = { method: "PATCH" as const, path: variablePath(access, rival), query: scope(access) };
			await tell(http, access, { ...call, body: { target: rest } });
		}
	}
}

async function remove(http: ProviderHttp, access: PlatformAccess, variable: Standing): Promise<void> {
	try {
		await tell(http, access, {
			method: "DELETE",
			path: variablePath(access, variable),
			query: scope(access),
		});
	} catch (error) {
		if (!isRefusal(error, "not_found")) throw error;
	}
}

/** A 201 may still list some as failed. Those in conflict with what came meanwhile are cleared and tried once more. */
async function create(
	http: ProviderHttp,
	access: PlatformAccess,
	variables: readonly DesiredVariable[],
	standing: readonly Standing[],
): Promise<void> {
	if (variables.length === 0) return;
	for (const variable of variables) {
		const inTheWay = standing.filter(
			(each) => !each.isSensitive || each.isCustom || !sameTargets(each.targets, targetsOf(variable)),
		);
		await clear(http, access, variable, inTheWay);
	}
	const failed = await upsert(http, access, variables);
	if (failed.length === 0) return;
	if (!failed.every(({ code }) => conflictCodes.has(code))) throw notWritten(failed);
	const now = await readVariables(http, access);
	const again = variables.filter(({ key }) => failed.some((failure) => (failure.key ?? key) === key));
	for (const variable of again) await clear(http, access, variable, now);
	const stillFailed = await upsert(http, access, again);
	if (stillFailed.length > 0) throw notWritten(stillFailed);
}

type Failed = { code: string; key: string | null };

async function upsert(
	http: ProviderHttp,
	access: PlatformAccess,
	variables: readonly DesiredVariable[],
): Promise<Failed[]> {
	const body = variables.map((variable) => ({
		key: variable.key,
		value: variable.value,
		type: "sensitive",
		target: targetsOf(variable),
		...(variable.branch === null ? {} : { gitBranch: variable.branch }),
		comment,
	}));
	const call = { method: "POST" as const, path: pathOf(access), query: { ...scope(access), upsert: "true" } };
	try {
		const { failed } = await ask(http, access, { ...call, body }, isVariablesCreated);
		return (failed ?? []).map(({ error }) => ({
			code: error.code,
			key: error.envVarKey ?? error.key ?? null,
		}));
	} catch (error) {
		const code = isRefusal(error, "invalid_request", "forbidden") ? error.vendorCode : undefined;
		if (code === undefined || !conflictCodes.has(code)) throw error;
		return [{ code, key: null }];
	}
}

function notWritten(failed: readonly Failed[]): ProviderError {
	const keys = [...new Set(failed.flatMap(({ key }) => key ?? []))].filter((key) => /^\w{1,100}$/.test(key));
	const which = keys.length === 0 ? "the variables" : keys.join(" and ");
	const vendorCode = failed[0]?.code.replace(/[^A-Za-z0-9_.-]/g, "").slice(0, 100);
	return new ProviderError("invalid_request", `Vercel did not take ${which}.`, {
		provider,
		...(vendorCode ? { vendorCode } : {}),
	});
}

function toOwned(variable: DesiredVariable, standing: readonly Standing[]): OwnedVariable {
	const found = rivalsOf(variable, standing).find(({ targets }) => sameTargets(targets, targetsOf(variable)));
	if (found === undefined) {
		const sentence = `Vercel took ${variable.key} and does not show it.`;
		throw new ProviderError("unexpected_answer", sentence, { provider });
	}
	const { key, branch, fingerprint } = variable;
	return { key, branch, fingerprint, id: found.id, version: found.version };
}

function keyAndBranch({ key, branch }: DesiredVariable): Pick<OwnedVariable, "key" | "branch"> {
	return { key, branch };
}
