import type {
	DesiredVariable,
	OwnedVariable,
	PlatformAccess,
	VariablesPushed,
} from "../deployment-provider.ts";
import { ProviderError } from "../errors.ts";
import type { ProviderHttp } from "../http.ts";
import { ask, isRefusal, provider, tell } from "./client.ts";
import { accountOf } from "./sites.ts";
import {
	isSamePlace,
	isUnchanged,
	ownedPlaces,
	placesOf,
	standingIds,
	toOwned,
	type ValuePlace,
	valueAt,
} from "./standing-values.ts";
import { isVariable, isVariableList, type NetlifyValue, type NetlifyVariable } from "./wire.ts";

/** Scopes that a secret can have; `post-processing` is refused with one. They cost a paid plan. */
const scopes = ["builds", "functions", "runtime"];
/** What `all` stands for, for which a secret cannot be set. */
const contextsOfAll = ["production", "deploy-preview", "branch-deploy", "dev"];

type Value = ValuePlace & { value: string };
/** Where variables lie: with the account, for the site alone. */
type Account = { http: ProviderHttp; access: PlatformAccess; path: string; query: { site_id: string } };

/**
 * One read, then one write for each key that differs, or one for each of its values where others stand beside ours:
 * a secret's values cannot be read back, so that replacing the whole key would lose them.
 */
export async function pushVariables(
	http: ProviderHttp,
	access: PlatformAccess,
	{ desired, owned }: { desired: readonly DesiredVariable[]; owned: readonly OwnedVariable[] },
): Promise<VariablesPushed> {
	const account = await accountSpace(http, access);
	const found = await readVariables(account);
	const pushed: VariablesPushed = { owned: [], written: [], takenOver: [] };
	for (const key of new Set(desired.map((variable) => variable.key))) {
		const wanted = desired.filter((variable) => variable.key === key);
		const kept = owned.filter((variable) => variable.key === key);
		const standing = found.find((variable) => variable.key === key);
		const differing = wanted.filter((variable) => !isUnchanged(variable, standing, kept));
		const current =
			differing.length === 0 ? standing : await writeKey(account, { wanted, differing, kept, standing });
		pushed.owned.push(...wanted.map((variable) => toOwned(variable, current)));
		pushed.written.push(...differing.map(({ branch }) => ({ key, branch })));
		const strangers = differing.filter((variable) => standsUnowned(variable, standing, kept));
		pushed.takenOver.push(...strangers.map(({ branch }) => ({ key, branch })));
	}
	return pushed;
}

/**
 * Removes the values that have the ids we were given when we wrote them; what is gone already counts as removed. A
 * secret cannot be compared, but one that was made readable was written by someone else.
 */
export async function removeVariables(
	http: ProviderHttp,
	access: PlatformAccess,
	owned: readonly OwnedVariable[],
): Promise<{ removed: OwnedVariable[]; kept: OwnedVariable[] }> {
	if (owned.length === 0) return { removed: [], kept: [] };
	const account = await accountSpace(http, access);
	const found = await readVariables(account);
	const strange = new Set<OwnedVariable>();
	for (const key of new Set(owned.map((variable) => variable.key))) {
		const standing = found.find((variable) => variable.key === key);
		const ofKey = owned.filter((variable) => variable.key === key);
		for (const variable of ofKey) if (isStrange(variable, standing)) strange.add(variable);
		// Of a variable that was changed in one context our values in the others go all the same.
		if (standing !== undefined && standing.is_secret !== false) {
			const ids = ofKey.flatMap((variable) => standingIds(variable, standing));
			await removeValues(account, standing, ids);
		}
	}
	return { removed: owned.filter((variable) => !strange.has(variable)), kept: [...strange] };
}

async function accountSpace(http: ProviderHttp, access: PlatformAccess): Promise<Account> {
	const id = await accountOf(http, access);
	return {
		http,
		access,
		path: `/accounts/${encodeURIComponent(id)}/env`,
		query: { site_id: access.target.id },
	};
}

function readVariables({ http, access, path, query }: Account): Promise<NetlifyVariable[]> {
	return ask(http, access, { path, query }, isVariableList);
}

type KeyWrite = {
	wanted: readonly DesiredVariable[];
	differing: readonly DesiredVariable[];
	kept: readonly OwnedVariable[];
	standing: NetlifyVariable | undefined;
};

/** Returns the variable as it stands after the last write. */
async function writeKey(account: Account, write: KeyWrite): Promise<NetlifyVariable> {
	const { wanted, differing, kept, standing } = write;
	if (standing === undefined) return createKey(account, write);
	const surplus = differing.flatMap((variable) => surplusIds(variable, standing, kept));
	const others = standing.values.filter(
		(value) => !surplus.includes(value.id) && !wanted.some((variable) => covers(variable, value)),
	);
	const key = standing.key;
	const hasBase = differing.some((variable) => variable.branch === null);
	if (others.length === 0 && differing.length === wanted.length) {
		return replaceKey(account, key, wanted.flatMap(valuesOf));
	}
	if (standing.is_secret !== true && hasBase) {
		const fresh = wanted.flatMap(valuesOf);
		return replaceKey(account, key, [...fresh, ...readableRest(others, fresh)]);
	}
	// Before the writes, whose answers then tell of the key's last change.
	await removeValues(account, standing, surplus);
	let current = standing;
	for (const value of differing.flatMap(valuesOf)) {
		const path = `${account.path}/${encodeURIComponent(key)}`;
		const call = { method: "PATCH" as const, path, query: account.query, body: value };
		current = await ask(account.http, account.access, call, isVariable);
	}
	return current;
}

async function createKey(account: Account, write: KeyWrite): Promise<NetlifyVariable> {
	const { http, access, path, query } = account;
	const key = write.wanted[0]?.key ?? "";
	const variable = { key, is_secret: true, values: write.wanted.flatMap(valuesOf) };
	try {
		const made = await withScopes((scoped) =>
			ask(http, access, { method: "POST", path, query, body: [{ ...variable, ...scoped }] }, isVariableList),
		);
		const [first] = made;
		if (first !== undefined) return first;
	} catch (error) {
		// Someone may have made it since we looked; otherwise the refusal stands.
		if (!isRefusal(error, "invalid_request")) throw error;
		const standing = (await readVariables(account)).find((each) => each.key === key);
		if (standing === undefined) throw error;
		return writeKey(account, { ...write, standing });
	}
	throw new ProviderError("unexpected_answer", "Netlify does not show the variable that it made.", {
		provider,
	});
}

function replaceKey(account: Account, key: string, values: readonly Value[]): Promise<NetlifyVariable> {
	const { http, access, query } = account;
	const path = `${account.path}/${encodeURIComponent(key)}`;
	const variable = { key, is_secret: true, values };
	return withScopes((scoped) =>
		ask(http, access, { method: "PUT", path, query, body: { ...variable, ...scoped } }, isVariable),
	);
}

/** On a plan without scopes naming them is forbidden, and without them a secret gets those that it can have. */
async function withScopes<T>(write: (scoped: { scopes?: string[] }) => Promise<T>): Promise<T> {
	try {
		return await write({ scopes });
	} catch (error) {
		if (!isRefusal(error, "forbidden")) throw error;
		return write({});
	}
}

async function removeValues(
	account: Account,
	standing: NetlifyVariable,
	ids: readonly string[],
): Promise<void> {
	const path = `${account.path}/${encodeURIComponent(standing.key)}`;
	const { http, access, query } = account;
	const isWhole = standing.values.every((value) => ids.includes(value.id));
	const paths = isWhole ? [path] : ids.map((id) => `${path}/value/${encodeURIComponent(id)}`);
	if (ids.length === 0) return;
	for (const each of paths) {
		try {
			await tell(http, access, { method: "DELETE", path: each, query });
		} catch (error) {
			if (!isRefusal(error, "not_found")) throw error;
		}
	}
}

function valuesOf(variable: DesiredVariable): Value[] {
	return placesOf(variable).map((context) => ({ ...context, value: variable.value }));
}

function covers(variable: DesiredVariable, value: NetlifyValue): boolean {
	return placesOf(variable).some((context) => valueAt([value], context) !== undefined);
}

/** Values of ours in contexts that are no longer wanted. */
function surplusIds(
	variable: DesiredVariable,
	standing: NetlifyVariable,
	kept: readonly OwnedVariable[],
): string[] {
	const before = kept.find(({ branch }) => branch === variable.branch);
	const ids = before === undefined ? [] : standingIds(before, standing);
	return ids.filter((id) => !standing.values.some((value) => value.id === id && covers(variable, value)));
}

/** Other people's values of a key that becomes secret: `all` is spelled out, and what they left empty is gone. */
function readableRest(others: readonly NetlifyValue[], fresh: readonly Value[]): Value[] {
	const named = others.flatMap(({ context, context_parameter: parameter, value }): Value[] =>
		value && context !== "all"
			? [{ context, value, ...(parameter ? { context_parameter: parameter } : {}) }]
			: [],
	);
	const forAll = others.find(({ context }) => context === "all")?.value;
	const spelled = forAll ? contextsOfAll.map((context) => ({ context, value: forAll })) : [];
	const taken = [...fresh];
	return [...named, ...spelled].filter((value) => {
		const isFree = !taken.some((other) => isSamePlace(other, value));
		taken.push(value);
		return isFree;
	});
}

function standsUnowned(
	variable: DesiredVariable,
	standing: NetlifyVariable | undefined,
	kept: readonly OwnedVariable[],
): boolean {
	const ours = kept.flatMap((each) => (each.branch === variable.branch ? ownedPlaces(each) : []));
	const values = standing?.values ?? [];
	const inherited = variable.branch === null ? valueAt(values, { context: "all" }) : undefined;
	const there = placesOf(variable).flatMap((context) => valueAt(values, context) ?? []);
	return [...there, ...(inherited ? [inherited] : [])].some(
		(value) => !ours.some(({ id }) => id === value.id),
	);
}

/** Another value stands in a place of ours, or the variable was made readable. */
function isStrange(variable: OwnedVariable, standing: NetlifyVariable | undefined): boolean {
	return ownedPlaces(variable).some(({ id, ...place }) => {
		const value = valueAt(standing?.values ?? [], place);
		return value !== undefined && (value.id !== id || standing?.is_secret === false);
	});
}
