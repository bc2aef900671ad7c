import { Webhook } from "standardwebhooks";
import { describe, expect, it, onTestFinished } from "vitest";
import { signedStandard } from "../fixtures/better-auth/webhooks.ts";
import { startBetterAuthApp } from "../integrations/better-auth-app.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

const secret = `whsec_${Buffer.alloc(32, 4).toString("base64")}`;

async function startReceiverForTest(): Promise<Receiver> {
	const receiver = await startReceiver();
	onTestFinished(() => receiver.close());
	return receiver;
}

function bodiesOf(receiver: Receiver) {
	return receiver.requests.map(({ body, headers }) => new Webhook(secret).verify(String(body), headers));
}

describe("the Better Auth plugin", () => {
	it("signs each event as Standard Webhooks describe, and sends chosen fields only", async () => {
		const receiver = await startReceiverForTest();
		const app = await startBetterAuthApp({ webhookUrl: receiver.url, secret, fields: ["plan"] });
		const person = { name: "Ada Brandt", email: "ada@example.com", plan: "pro", apiToken: "never" };
		const { id, cookie } = await app.signUp(person);
		await receiver.waitFor(1);
		await app.post("/delete-user", { password: "correct-horse-battery" }, cookie);
		await receiver.waitFor(2);
		const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/);
		expect(bodiesOf(receiver)).toEqual([
			{
				type: "user.created",
				timestamp: time,
				data: {
					id,
					name: "Ada Brandt",
					email: "ada@example.com",
					emailVerified: false,
					plan: "pro",
					createdAt: time,
					updatedAt: time,
				},
			},
			{ type: "user.deleted", timestamp: time, data: { id, deleted: true } },
		]);
	});

	it("sends the same id and bytes until they are taken, and passes over what is refused for good", async () => {
		const receiver = await startReceiverForTest();
		receiver.respondWith(500, "reset", 400, 200);
		const app = await startBetterAuthApp({ webhookUrl: receiver.url, secret, retryDelaysMs: [10] });
		await app.signUp({ name: "First", email: "first@example.com" });
		await receiver.waitFor(3);
		await app.signUp({ name: "Second", email: "second@example.com" });
		await receiver.waitFor(4);
		const [first, second, third, fourth] = receiver.requests.map(({ body, headers }) => ({
			id: headers["webhook-id"],
			body: String(body),
		}));
		expect([second, third]).toEqual([first, first]);
		expect(fourth?.body).toContain("second@example.com");
		expect(fourth?.id).not.toBe(first?.id);
	});

	it("sends one user's changes one after the other, and those of others beside them", async () => {
		const receiver = await startReceiverForTest();
		let inFlight: string[] = [];
		const together: string[][] = [];
		receiver.respondWith(async ({ body }) => {
			const { id } = JSON.parse(String(body)).data;
			inFlight.push(id);
			together.push([...inFlight]);
			await new Promise((resolve) => setTimeout(resolve, 30));
			inFlight = inFlight.filter((each) => each !== id);
			return 200;
		});
		const app = await startBetterAuthApp({ webhookUrl: receiver.url, secret });
		const { internalAdapter } = await app.auth.$context;
		app.addUsers(3);
		const ids = (app.tables.user ?? []).map(({ id }) => String(id));
		for (let change = 0; change < 3; change += 1) {
			for (const id of ids) await internalAdapter.updateUser(id, { name: `Name ${change}` });
		}
		await receiver.waitFor(9);
		for (const each of together) expect(new Set(each).size).toBe(each.length);
		expect(Math.max(...together.map((each) => each.length))).toBe(3);
		const ofFirst = bodiesOf(receiver).filter(
			(event) => (event as { data: { id: string } }).data.id === ids[0],
		);
		expect(ofFirst).toMatchObject([0, 1, 2].map((change) => ({ data: { name: `Name ${change}` } })));
	});

	it("hands its work to the platform's background, which is done when all is sent", async () => {
		const receiver = await startReceiverForTest();
		const works: Promise<unknown>[] = [];
		const app = await startBetterAuthApp(
			{ webhookUrl: receiver.url, secret },
			{ inBackground: (work) => works.push(work) },
		);
		await app.signUp({ name: "A B", email: "a@example.com" });
		expect(works.length).toBeGreaterThan(0);
		await Promise.all(works);
		expect(receiver.requests).toHaveLength(1);
	});

	it("ends its background work also while the receiver is away", async () => {
		const receiver = await startReceiverForTest();
		receiver.respondWith(503);
		const works: Promise<unknown>[] = [];
		const app = await startBetterAuthApp(
			{ webhookUrl: receiver.url, secret, retryDelaysMs: [600_000] },
			{ inBackground: (work) => works.push(work) },
		);
		for (const email of ["a@example.com", "b@example.com"]) await app.signUp({ name: "A B", email });
		await Promise.all(works);
		// The second sign-up asks no receiver that has just been away.
		expect(receiver.requests).toHaveLength(1);
	});
});

describe("the plugin's export", () => {
	async function startApp() {
		const app = await startBetterAuthApp({ webhookUrl: "http://127.0.0.1:9", secret });
		app.addUsers(7);
		const ask = async (request: object, key = secret, at = new Date()) => {
			const { body, headers } = signedStandard(request, key, { at });
			const response = await fetch(app.exportUrl, { method: "POST", body, headers });
			return { status: response.status, body: (await response.json()) as Record<string, unknown> };
		};
		return { app, ask };
	}

	it("gives every user once, in pages", async () => {
		const { app, ask } = await startApp();
		const seen: string[] = [];
		let cursor: unknown = null;
		do {
			const { status, body } = await ask({ type: "users.export", cursor, limit: 3 });
			expect(status).toBe(200);
			const page = body.users as { id: string }[];
			expect(page.length).toBeLessThanOrEqual(3);
			seen.push(...page.map(({ id }) => id));
			cursor = body.cursor;
		} while (cursor !== null);
		expect(seen).toEqual(app.tables.user?.map(({ id }) => id).toSorted());
	});

	it("gives nothing without a fresh signature under the secret", async () => {
		const { app, ask } = await startApp();
		const request = { type: "users.export", cursor: null, limit: 3 };
		const late = new Date(Date.now() - 310_000);
		const refused = [
			await ask(request, `whsec_${Buffer.alloc(32, 5).toString("base64")}`),
			await ask(request, secret, late),
		];
		for (const { status, body } of refused) {
			expect([status, body.code, body.users]).toEqual([401, "INVALID_SIGNATURE", undefined]);
		}
		expect((await app.post("/capydb/export-users", request)).status).toBe(401);
	});

	it.each([
		{ type: "user.created", cursor: null, limit: 3 },
		{ type: "users.export", cursor: 5, limit: 3 },
		{ type: "users.export", cursor: null, limit: 0 },
		{ type: "users.export", cursor: null, limit: "3" },
		{ type: "users.export", limit: 3 },
		[],
	])("answers 400 to %j", async (request) => {
		const { ask } = await startApp();
		expect(await ask(request)).toMatchObject({ status: 400, body: { code: "INVALID_EXPORT_REQUEST" } });
	});
});
