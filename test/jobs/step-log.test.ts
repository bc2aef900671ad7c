import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../src/core/errors.ts";
import type { JobRun } from "../../src/jobs/job-type.ts";
import { keepTail } from "../../src/jobs/step-log.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { addIdleJob, getJob, runOnce } from "./running-jobs.ts";

let server: TestServer;
let tenant: Tenant;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	tenant = await server.tenant();
});
afterAll(() => server.close());

const bytesMax = 16 * 1024;

/** What the API shows of a job whose one attempt said these things. */
async function said(speak: (run: JobRun) => void) {
	const job = await addIdleJob(server, tenant);
	await runOnce(server, job, {
		run: async (_, run) => {
			speak(run);
			return undefined;
		},
	});
	return (await getJob(server, tenant, job.id)).body.job;
}

describe("last_stdout", () => {
	it("holds the steps in order, one a line", async () => {
		const job = await said((run) => {
			run.say("validated project web (prj_1)");
			run.say("backfilled 12,500 users");
		});
		expect(job.last_stdout).toBe("validated project web (prj_1)\nbackfilled 12,500 users");
	});

	it("keeps the last 16 KiB, begun at a whole line", async () => {
		const job = await said((run) => {
			for (let at = 1; at <= 3000; at += 1) run.say(`step ${at} ✓`);
		});
		const lines: string[] = job.last_stdout.split("\n");
		expect(Buffer.byteLength(job.last_stdout)).toBeLessThanOrEqual(bytesMax);
		expect(Buffer.byteLength(job.last_stdout)).toBeGreaterThan(bytesMax - 40);
		expect(lines[0]).toBe("…");
		expect(lines[1]).toMatch(/^step \d+ ✓$/);
		expect(lines.at(-1)).toBe("step 3000 ✓");
	});

	it("goes on with the next attempt of the same job", async () => {
		const job = await addIdleJob(server, tenant);
		await runOnce(server, job, {
			run: async (_, run) => {
				run.say("first");
				throw new Error("in passing");
			},
		});
		await runOnce(server, job, {
			run: async (_, run) => {
				run.say("second");
				return undefined;
			},
		});
		expect((await getJob(server, tenant, job.id)).body.job).toMatchObject({
			last_stdout: "first\nsecond",
			attempts: 2,
			state: "completed",
		});
	});

	it("holds no secrets and no control characters, whatever a sentence was made of", async () => {
		const job = await said((run) => {
			run.say("went to postgres://app:hunter2hunter2@db.example.com:5432/app");
			run.say("with capy_live_abcdefghijklmnop, whsec_c2VjcmV0c2VjcmV0 and sk_live_abcdefgh");
			run.say("sent Authorization: Bearer eyJhbGciOi.J9abc-_def");
			run.say("a name with \u0000, \u001b[31mred\u001b[0m and half a pair \ud800 in it");
		});
		expect(job.state).toBe("completed");
		for (const secret of ["hunter2", "abcdefgh", "c2VjcmV0", "eyJhbGciOi"]) {
			expect(job.last_stdout).not.toContain(secret);
		}
		expect(job.last_stdout).toContain("postgres://app:[secret]@db.example.com:5432/app");
		expect(job.last_stdout.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cs}]/u);
	});
});

describe("error and last_stderr", () => {
	it("say one sentence of ours: the words of an unexpected error stay inside", async () => {
		const job = await addIdleJob(server, tenant);
		const secret = "password=hunter2 at /var/lib/thing.ts:3";
		await runOnce(server, job, { run: () => Promise.reject(new Error(secret)) });
		const { text, body } = await getJob(server, tenant, job.id);
		expect(text).not.toContain("hunter2");
		expect(body.job).toMatchObject({
			error: "Something went wrong on our side.",
			last_stderr: "Something went wrong on our side.",
			last_exit_code: 1,
			retry_classification: "transient",
		});
	});

	it("hold no secrets either", async () => {
		const job = await addIdleJob(server, tenant);
		const sentence = "No access to postgres://app:hunter2@db.example.com/app.";
		await runOnce(server, job, { run: () => Promise.reject(new AppError("conflict", "x.y", sentence)) });
		expect((await getJob(server, tenant, job.id)).body.job).toMatchObject({
			state: "failed",
			error: "No access to postgres://app:[secret]@db.example.com/app.",
			last_stderr: "No access to postgres://app:[secret]@db.example.com/app.",
			retry_classification: "permanent",
		});
	});
});

describe("the tail of a text", () => {
	it.each(["x", "é", "☃", "💩"])(
		"of one endless line of %s is no longer than 16 KiB and well formed",
		(character) => {
			for (let length = 20_000; length < 20_008; length += 1) {
				const tail = keepTail(`${"-".repeat(length % 4)}${character.repeat(length)}`) ?? "";
				expect(Buffer.byteLength(tail)).toBeLessThanOrEqual(bytesMax);
				expect(tail).not.toContain("\ufffd");
				expect(tail.endsWith(character)).toBe(true);
			}
		},
	);

	it("is the text itself up to 16 KiB, and null for none", () => {
		expect(keepTail("x".repeat(bytesMax))).toBe("x".repeat(bytesMax));
		expect(keepTail("")).toBeNull();
	});
});
