import { expect, it } from "vitest";
import { carryThrough } from "../../src/core/carry-through.ts";

it("a step that fails keeps none from being taken, each after the one before it, and is told at the end", async () => {
	const taken: string[] = [];
	const slow = Promise.withResolvers<void>();
	const take = async (name: string, ready: Promise<void> = Promise.resolve()) => {
		await ready;
		taken.push(name);
	};
	const fail = (message: string) => async () => Promise.reject(new Error(message));
	const failsAtOnce = () => {
		throw new Error("one");
	};
	const all = carryThrough([
		[failsAtOnce, () => take("slow", slow.promise), async () => slow.resolve()],
		[() => take("next")],
		[fail("two")],
		[() => take("last")],
	]);
	await expect(all).rejects.toMatchObject({ errors: [{ message: "one" }, { message: "two" }] });
	expect(taken).toEqual(["slow", "next", "last"]);
	await expect(carryThrough([[fail("alone")], [() => take("x")]])).rejects.toThrow(/^alone$/);
	await expect(carryThrough([[() => take("y")]])).resolves.toBeUndefined();
});
