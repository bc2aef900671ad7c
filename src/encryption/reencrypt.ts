import type { Context } from "../context.ts";
import type { Resealed, SealedValue } from "./store.ts";

export type Reencryption = {
	/** The key that everything is sealed with from now on. */
	keyId: string;
	/** How many values were sealed anew, by column. */
	resealed: Record<string, number>;
	/** Values that no given key opens, as `<table>.<column> of <id>`; they are as they were. */
	unreadable: string[];
	/** Keys that values are sealed with now. */
	keysInUse: string[];
	/** Keys that nothing is sealed with any more. */
	forgotten: string[];
};

type Parts = Pick<Context, "stores" | "vault">;

const batchRows = 500;
/** A server that still seals with an older key could keep this busy for ever. */
const passesMax = 5;

/**
 * Seals every value anew that is not sealed with the first key, while servers go on. The values say themselves what
 * is left to do: a run that was cut off is gone on with by the next one. A value that is changed meanwhile is left
 * to the next pass.
 */
export async function reencrypt(
	ctx: Parts,
	onBatch: (column: string, rows: number) => void,
): Promise<Reencryption> {
	const { sealed } = ctx.stores;
	const keyId = ctx.vault.sealingKeyId;
	const resealed: Record<string, number> = {};
	const unreadable = new Set<string>();
	for (let pass = 0; pass < passesMax; pass += 1) {
		let changed = 0;
		for (const column of sealed.columns()) {
			const count = await resealColumn(ctx, column, { unreadable, onBatch });
			resealed[column] = (resealed[column] ?? 0) + count;
			changed += count;
		}
		if (changed === 0) break;
	}
	const forgotten = await sealed.forgetUnusedKeys(keyId);
	return { keyId, resealed, unreadable: [...unreadable], keysInUse: await sealed.keysInUse(), forgotten };
}

async function resealColumn(
	ctx: Parts,
	column: string,
	{ unreadable, onBatch }: { unreadable: Set<string>; onBatch: (column: string, rows: number) => void },
): Promise<number> {
	let after: string | null = null;
	let count = 0;
	for (;;) {
		const page = { keyId: ctx.vault.sealingKeyId, after, limit: batchRows };
		const values: SealedValue[] = await ctx.stores.sealed.listOthers(column, page);
		const changes = values.flatMap((value) => reseal(ctx, column, value, unreadable));
		if (changes.length > 0) {
			const replaced = await ctx.stores.sealed.replace(column, changes);
			count += replaced;
			onBatch(column, replaced);
		}
		if (values.length < batchRows) return count;
		after = values.at(-1)?.row ?? null;
	}
}

function reseal(
	{ vault }: Parts,
	column: string,
	{ row, sealed }: SealedValue,
	unreadable: Set<string>,
): Resealed[] {
	const place = { row, column };
	try {
		return [{ row, was: sealed, sealed: vault.seal(vault.open(sealed, place), place) }];
	} catch {
		// Of a key that is not given, or damaged: what the vault says of it would help nobody here.
		unreadable.add(`${column} of ${row}`);
		return [];
	}
}
