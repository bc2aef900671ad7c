import { describe, expect, it } from "vitest";
import { bootstrap } from "../../src/projects/bootstrap.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { directUrl, refusalOf } from "./project-databases.ts";

describe("the first start on an empty database", () => {
	it("makes organization, project and key once, however many replicas start together", async () => {
		const server = await startTestServer();
		const made = await Promise.all([1, 2, 3, 4].map(() => bootstrap(server.ctx)));
		const [first, ...others] = made.filter((each) => each !== null);
		expect(others).toEqual([]);
		if (!first) throw new Error("nothing was made");
		const { key, projectId } = first;
		const { body: me } = await server.call("GET", "/v1/me", { key });
		expect(me).toMatchObject({
			organization: { slug: "default" },
			principal: { scopes: ["*"], project_id: null },
		});
		const { body } = await server.call("GET", "/v1/projects", { key });
		expect(body.projects).toMatchObject([{ id: projectId, slug: "default", name: "default" }]);
		await until(async () => {
			const answer = await server.call("GET", `/v1/projects/${projectId}`, { key });
			return answer.body.project.state === "ready";
		});
		const tenant = { organizationId: me.organization.id, projectId, key };
		expect(await refusalOf(await directUrl(server, tenant))).toBeNull();
		expect(await bootstrap(server.ctx)).toBeNull();
	});

	it("makes nothing where there is an organization", async () => {
		const server = await startTestServer();
		await server.call("POST", "/v1/organizations", { body: { name: "someone" } });
		expect(await bootstrap(server.ctx)).toBeNull();
	});
});
