import { expect, it, onTestFinished } from "vitest";
import type { OrganizationId } from "../../src/core/ids.ts";
import { publish } from "../../src/events/publish.ts";
import { publishStore } from "../../src/events/publish-store.ts";
import { projectStore } from "../../src/projects/store.ts";
import { addOrganization } from "../deliveries/webhook-server.ts";
import { openExplainer } from "../support/explain.ts";
import { startTestServer } from "../support/server.ts";

it("a batch costs as many statements when all its keys were used before, and whatever projects it names", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const owner = await addOrganization(server);
	const organizationId = owner.organizationId as OrganizationId;
	const projectIds: string[] = [];
	for (let made = 0; made < 4; made += 1) {
		const { body } = await server.call("POST", "/v1/projects", { key: owner.key, body: { name: "web" } });
		projectIds.push(body.project.id);
	}
	const explainer = await openExplainer(server.databaseUrl);
	onTestFinished(() => explainer.close());
	const { database } = explainer;
	const stores = { ...server.ctx.stores, publish: publishStore(database), projects: projectStore(database) };
	const events = Array.from({ length: 500 }, (_, at) => ({
		type: "once.only",
		data: String(at),
		projectId: projectIds[at % 5] ?? null,
		idempotencyKey: `key ${at}`,
	}));
	const publishAll = async () => {
		const published = await publish({ ...server.ctx, stores }, { organizationId, events });
		return { published, statements: explainer.plans().length };
	};
	const first = await publishAll();
	const again = await publishAll();
	expect(again.published).toEqual(first.published);
	expect(first.published.events.map((event) => event.projectId)).toEqual(
		events.map((event) => event.projectId),
	);
	// The projects, the deliveries that are to be made, the events; and those that are there already.
	expect([first.statements, again.statements]).toEqual([3, 4]);
});
