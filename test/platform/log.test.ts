import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const logModule = fileURLToPath(new URL("../../src/platform/log.ts", import.meta.url));
const drizzleErrors = import.meta.resolve("drizzle-orm/errors");

/** What the real log writes in a process of its own, where `script` has `log` and `DrizzleQueryError`. */
async function written(script: string): Promise<string> {
	const source = `
		import { createLog } from ${JSON.stringify(logModule)};
		import { DrizzleQueryError } from ${JSON.stringify(drizzleErrors)};
		const log = createLog({ level: "info", replica: "a" });
		${script}`;
	const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", source]);
	return stdout;
}

it("the log shows a failed statement with its stack and its cause, and no line of its parameters", async () => {
	const text = await written(`
		function work() {
			const params = ["first line\\nsecond line\\n    at third (line.ts:1:1)", "$& other"];
			return new DrizzleQueryError("insert into users\\nvalues ($1, $2)", params, new Error("disk full"));
		}
		log.error({ err: new Error("outer", { cause: work() }) }, "a request failed");
		log.error({ err: work() }, "a request failed");`);
	expect(text).not.toMatch(/(first|second|third)|other/);
	const lines = text.trimEnd().split("\n");
	expect(lines.length).toBe(2);
	const { err } = JSON.parse(lines[1] ?? "");
	const message = "Failed query: insert into users\nvalues ($1, $2)";
	expect([err.message, err.cause.message]).toEqual([message, "disk full"]);
	expect(err.stack).toMatch(/^Error: Failed query: insert into users\nvalues \(\$1, \$2\)\n {4}at work /);
});

it("the log shows no stack that it cannot tell the parameters from", async () => {
	const text = await written(`
		const error = new DrizzleQueryError("select $1", ["a\\nsecret"], new Error("gone"));
		error.message = "could not be read";
		log.error({ err: error }, "a request failed");`);
	expect(JSON.parse(text).err.message).toBe("could not be read");
	expect(text).not.toContain("secret");
});

it("whatever a value holds, it makes one line of the log, without control characters", async () => {
	const text = await written(`
		const value = "x\\r\\n{\\"level\\":60,\\"msg\\":\\"forged\\"}\\n\\u001b[2J\\u0000\\u2028";
		log.info({ value, [value]: 1 }, value);
		log.warn({ err: new Error(value) }, "failed");`);
	const lines = text.split("\n");
	expect([lines.length, lines[2]]).toEqual([3, ""]);
	for (const line of lines.slice(0, 2)) {
		// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
		expect(line).not.toMatch(/[\u0000-\u001f\u007f]/);
		expect(JSON.parse(line).msg).not.toBe("forged");
	}
});
