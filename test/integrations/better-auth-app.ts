import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { admin } from "better-auth/plugins";
import { onTestFinished } from "vitest";
import { type CapyDbOptions, capydb } from "../../src/providers/better-auth/plugin/index.ts";

type Row = Record<string, unknown>;
export type Session = { id: string; cookie: string };

/** An application with the real better-auth and our plugin, over HTTP, its tables in memory. */
export async function startBetterAuthApp(
	options: CapyDbOptions,
	{ inBackground }: { inBackground?: (work: Promise<unknown>) => void } = {},
) {
	const server = createServer();
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	const tables: Record<string, Row[]> = { user: [], session: [], account: [], verification: [] };
	const auth = betterAuth({
		baseURL: origin,
		secret: "a-secret-of-the-application-0123456789",
		database: memoryAdapter(tables),
		// The memory adapter compares by code unit and sorts by locale: of uuids both give one order.
		advanced: {
			database: { generateId: "uuid" },
			...(inBackground === undefined ? {} : { backgroundTasks: { handler: inBackground } }),
		},
		emailAndPassword: { enabled: true },
		user: {
			deleteUser: { enabled: true },
			additionalFields: {
				plan: { type: "string", required: false },
				apiToken: { type: "string", required: false },
			},
		},
		plugins: [admin(), capydb(options)],
		logger: { disabled: true },
		telemetry: { enabled: false },
	});
	server.on("request", toNodeHandler(auth));
	onTestFinished(async () => {
		server.closeAllConnections();
		server.close();
	});

	const post = (path: string, body: object, cookie?: string) =>
		fetch(`${origin}/api/auth${path}`, {
			method: "POST",
			headers: { "content-type": "application/json", origin, ...(cookie === undefined ? {} : { cookie }) },
			body: JSON.stringify(body),
		});

	return {
		auth,
		tables,
		exportUrl: `${origin}/api/auth/capydb/export-users`,
		post,
		/** Users from before the plugin: no hook has seen them. */
		addUsers(count: number): void {
			const rows = Array.from({ length: count }, (_, at) => ({
				id: randomUUID(),
				name: `Person ${at}`,
				email: `person-${at}@example.com`,
				emailVerified: true,
				image: null,
				createdAt: new Date(Date.UTC(2026, 0, 1) + at * 1000),
				updatedAt: new Date(Date.UTC(2026, 0, 2)),
				apiToken: "never-to-be-sent",
			}));
			tables.user?.push(...rows);
		},
		/** Signs a person up by e-mail. Throws when the application refuses. */
		async signUp(fields: { name: string; email: string } & Row): Promise<Session> {
			const response = await post("/sign-up/email", { password: "correct-horse-battery", ...fields });
			if (!response.ok) throw new Error(`sign-up answered ${response.status}: ${await response.text()}`);
			const { user } = (await response.json()) as { user: { id: string } };
			const cookie = response.headers
				.getSetCookie()
				.map((each) => each.split(";")[0])
				.join("; ");
			return { id: user.id, cookie };
		},
	};
}
