import pg from "pg";
import { until } from "../support/until.ts";
import type { Child } from "./child.ts";
import type { ClerkCommands } from "./clerk-process.ts";
import type { BenchServer, Site } from "./site.ts";

/** A server whose project's users are Clerk's. */
export type MirroredProject = {
	server: BenchServer;
	clerk: Child<ClerkCommands>;
	/** The project's own database, as the cluster's admin. */
	databaseUrl: string;
	receiverUrl: string;
	signingSecret: string;
	/** One statement in the project's database. */
	sql<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>;
	/** Reads all users; milliseconds that the job ran. */
	sync(): Promise<number>;
	stop(): Promise<void>;
};

/** A project on a database of its own, connected to a Clerk without users. */
export async function openMirroredProject(site: Site, name: string): Promise<MirroredProject> {
	const clerk = await site.start<ClerkCommands>("clerk");
	const server = await site.openServer(name, { CLERK_API_URL: await clerk.call("origin") });
	const { organization } = await server.call("POST", "/v1/organizations", { name });
	const body = { name, organization_id: organization.id };
	const { project } = await server.call("POST", "/v1/projects", body);
	const path = `/v1/projects/${project.id}`;
	await until(async () => (await server.call("GET", path)).project.state === "ready");
	const signingSecret = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
	const { integration, job } = await server.call("POST", `${path}/integrations/clerk/connect`, {
		secret_key: "sk_test_bench",
		webhook_signing_secret: signingSecret,
	});
	await endOf(server, job.id);
	const databaseUrl = new URL(server.databaseUrl);
	databaseUrl.pathname = `/${(await server.call("GET", path)).project.database_name}`;
	const pool = new pg.Pool({ connectionString: databaseUrl.href, max: 1 });
	pool.on("error", () => undefined);
	return {
		server,
		clerk,
		databaseUrl: databaseUrl.href,
		receiverUrl: integration.config.webhook_receiver,
		signingSecret,
		sql: async (text) => (await pool.query(text)).rows,
		sync: async () => {
			const queued = await server.call("POST", `${path}/integrations/clerk/sync`);
			const ended = await endOf(server, queued.job.id);
			return Date.parse(ended.completed_at) - Date.parse(ended.started_at);
		},
		stop: async () => {
			await pool.end();
			await server.stop();
			await clerk.stop();
		},
	};
}

async function endOf(server: BenchServer, jobId: string) {
	const job = await until(
		async () => {
			const { job: found } = await server.call("GET", `/v1/jobs/${jobId}`);
			return ["completed", "failed"].includes(found.state) ? found : null;
		},
		// Seldom: asking costs the server time that is being measured.
		{ timeoutMs: 600_000, everyMs: 250 },
	);
	if (job.state === "failed") throw new Error(`${job.type} failed: ${job.error}`);
	return job;
}
