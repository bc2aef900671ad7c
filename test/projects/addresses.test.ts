import { expect, it } from "vitest";
import { startTestServer } from "../support/server.ts";

it("customers are given the address and the pooler that the operator names, old projects too", async () => {
	const before = await startTestServer({ keep: true });
	const tenant = await before.tenant();
	const env = {
		PROJECT_PUBLIC_HOST: "db.example.com",
		PROJECT_DIRECT_PORT: "5432",
		PROJECT_POOLED_PORT: "6432",
	};
	const after = await startTestServer({ databaseUrl: before.databaseUrl, env });
	const path = `/v1/projects/${tenant.projectId}`;
	const { body } = await after.call("GET", path, { key: tenant.key });
	const named = { public_host: "db.example.com", direct_port: 5432, pooled_port: 6432 };
	expect(body.project).toMatchObject(named);
	const { body: read } = await after.call("GET", `${path}/connections`, { key: tenant.key });
	expect(new URL(read.connections.direct_url).host).toBe("db.example.com:5432");
	expect(new URL(read.connections.pooled_url).host).toBe("db.example.com:6432");
	await after.close();
	await before.close();
});
