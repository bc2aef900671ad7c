import { numeral } from "../core/numeral.ts";
import { type Reencryption, reencrypt } from "../encryption/reencrypt.ts";
import type { Command } from "./command.ts";
import { withContext } from "./open-context.ts";

export const reencryptCommand: Command = {
	summary: "seals every secret in the database anew, with the first of ENCRYPTION_KEYS",
	details: `To change the key while servers run:
  1. give every server \`ENCRYPTION_KEYS=<old>,<new>\`: each can then open what the new key seals;
  2. give every server \`ENCRYPTION_KEYS=<new>,<old>\`: from here on nothing is sealed with the old one;
  3. run this with the same ENCRYPTION_KEYS; cut off, it goes on where it was;
  4. give every server \`ENCRYPTION_KEYS=<new>\`. Keep the old key for as long as backups from before.
It ends with 1 when a value is left that it cannot open.`,
	options: {},
	run: (_options, surroundings) =>
		withContext(surroundings, async (ctx) => {
			const done = await reencrypt(ctx, (column, rows) =>
				surroundings.warn(`${column}: ${rows} sealed anew`),
			);
			return {
				text: told(done),
				json: {
					key_id: done.keyId,
					resealed: done.resealed,
					unreadable: done.unreadable,
					keys_in_use: done.keysInUse,
					forgotten: done.forgotten,
				},
				isBad: done.keysInUse.some((id) => id !== done.keyId),
			};
		}),
};

function told({ keyId, resealed, unreadable, keysInUse, forgotten }: Reencryption): string {
	const total = Object.values(resealed).reduce((sum, count) => sum + count, 0);
	const others = keysInUse.filter((id) => id !== keyId);
	const ending =
		others.length === 0
			? "Everything is sealed with it."
			: `Some values are still sealed with ${others.join(", ")}: a server seals with it, or they cannot be opened.`;
	return [
		`Sealed ${numeral(total)} values anew with the key ${keyId}. ${ending}`,
		...unreadable.map((place) => `Not opened by any given key: ${place}.`),
		...forgotten.map((id) => `Servers can start without the key ${id} now.`),
	].join("\n");
}
