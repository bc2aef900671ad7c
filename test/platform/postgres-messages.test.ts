import { describe, expect, it } from "vitest";
import { createMessageCheck } from "../../src/platform/postgres-messages.ts";

function message(type: string, body: string): Buffer {
	const bytes = Buffer.alloc(5 + body.length);
	bytes.write(type, 0, "latin1");
	bytes.writeUInt32BE(body.length + 4, 1);
	bytes.write(body, 5, "latin1");
	return bytes;
}

const sound = Buffer.concat([
	message("R", "\0\0\0\0"),
	message("E", "SERROR\0C28P01\0Mno\0\0"),
	message("D", "\0\x01\0\0\0\x05ES\0NE"),
	message("N", "SNOTICE\0\0"),
	message("E", "\0"),
	message("Z", "I"),
]);

describe("the check of a server's messages", () => {
	it("lets sound ones through, wherever they are cut", () => {
		for (let size = 1; size <= sound.length; size++) {
			const isSound = createMessageCheck();
			for (let at = 0; at < sound.length; at += size) {
				expect(isSound(sound.subarray(at, at + size))).toBe(true);
			}
		}
	});

	it("stops an error that does not end, wherever it is cut and whatever went before", () => {
		const bytes = Buffer.concat([sound, message("E", "SERROR\0")]);
		for (let size = 1; size <= bytes.length; size++) {
			const isSound = createMessageCheck();
			const verdicts: boolean[] = [];
			for (let at = 0; at < bytes.length; at += size) verdicts.push(isSound(bytes.subarray(at, at + size)));
			expect(verdicts.pop()).toBe(false);
			expect(verdicts.every(Boolean)).toBe(true);
		}
	});
});
