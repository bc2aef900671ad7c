import type { DesiredVariable, OwnedVariable } from "../deployment-provider.ts";
import { ProviderError } from "../errors.ts";
import { provider } from "./client.ts";
import type { NetlifyValue, NetlifyVariable } from "./wire.ts";

/** A deploy context; of a branch when it is named. One variable has one value for each. */
export type ValuePlace = { context: string; context_parameter?: string };

/** Where the values of a variable stand. */
export function placesOf({ branch, targets }: Pick<DesiredVariable, "branch" | "targets">): ValuePlace[] {
	return branch === null ? targets.map((context) => ({ context })) : [branchPlace(branch)];
}

export function isSamePlace(
	one: ValuePlace,
	other: Pick<NetlifyValue, "context" | "context_parameter">,
): boolean {
	return one.context === other.context && (one.context_parameter ?? "") === (other.context_parameter ?? "");
}

export function valueAt(values: readonly NetlifyValue[], place: ValuePlace): NetlifyValue | undefined {
	return values.find((value) => isSamePlace(place, value));
}

/** What we keep of a variable that stands at Netlify: the ids of its values, and when its key was changed last. */
export function toOwned(variable: DesiredVariable, standing: NetlifyVariable | undefined): OwnedVariable {
	const values = placesOf(variable).map((place) => ({
		context: place.context,
		id: valueAt(standing?.values ?? [], place)?.id,
	}));
	if (values.some(({ id }) => id === undefined)) {
		throw new ProviderError("unexpected_answer", "Netlify does not show the value that it was given.", {
			provider,
		});
	}
	const { key, branch, fingerprint } = variable;
	const id = values.map((value) => `${value.context}=${value.id}`).join(" ");
	return { key, branch, fingerprint, id, version: standing?.updated_at ?? null };
}

/** The places and ids that `toOwned` wrote down. */
export function ownedPlaces({ id, branch }: OwnedVariable): (ValuePlace & { id: string })[] {
	return id.split(" ").flatMap((pair) => {
		const [, context, valueId] = /^([a-z-]+)=(.+)$/.exec(pair) ?? [];
		if (context === undefined || valueId === undefined) return [];
		return [{ ...(branch === null ? { context } : branchPlace(branch)), id: valueId }];
	});
}

/** The ids of those values that still stand where we put them. */
export function standingIds(variable: OwnedVariable, standing: NetlifyVariable): string[] {
	return ownedPlaces(variable).flatMap(({ id, ...place }) =>
		valueAt(standing.values, place)?.id === id ? [id] : [],
	);
}

/**
 * Whether the variable stands as we wrote it. A secret cannot be read: its values' ids must be those that we were
 * given, and its key's last change one of ours. `kept` is all that we keep of that key, for each write of one of its
 * values moves the time of the whole key.
 */
export function isUnchanged(
	variable: DesiredVariable,
	standing: NetlifyVariable | undefined,
	kept: readonly OwnedVariable[],
): boolean {
	const before = kept.find(({ branch }) => branch === variable.branch);
	if (standing === undefined || before === undefined || before.fingerprint !== variable.fingerprint)
		return false;
	if (standing.is_secret === false) return false;
	const places = placesOf(variable);
	const ids = standingIds(before, standing);
	if (ids.length !== places.length || ownedPlaces(before).length !== places.length) return false;
	const isAtPlaces = places.every((place) => ids.includes(valueAt(standing.values, place)?.id ?? ""));
	const version = standing.updated_at ?? null;
	return (
		isAtPlaces && (version === null || kept.some((each) => each.version === null || each.version === version))
	);
}

function branchPlace(branch: string): ValuePlace {
	return { context: "branch", context_parameter: branch };
}
