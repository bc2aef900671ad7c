import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Api, type Operation, pathOf, readApi, type Schema } from "../api/operations.ts";
import { sampleOf } from "../api/samples.ts";
import { startWorld, type World } from "../api/world.ts";

let world: World;
let api: Api;

beforeAll(async () => {
	world = await startWorld();
	api = await readApi(world.server);
});
afterAll(() => world.close());

/** Fields of bodies and queries that name a thing of somebody, with the path parameter that names the like. */
const namingFields: Record<string, string> = {
	project_id: "projectID",
	organization_id: "orgID",
	event_id: "eventID",
};

type Place = { operation: Operation; field: string; inBody: boolean };

function places(): Place[] {
	return api.operations.flatMap((operation) => {
		if (operation.isPublic) return [];
		const schema: Schema = operation.bodySchema?.else ?? operation.bodySchema;
		const inBody = Object.keys(schema?.properties ?? {}).map((field) => ({ operation, field, inBody: true }));
		const inQuery = operation.queryNames.map((field) => ({ operation, field, inBody: false }));
		return [...inBody, ...inQuery].filter(({ field }) => field in namingFields);
	});
}

async function send({ operation, field, inBody }: Place, value: string) {
	const path = pathOf(operation, { ...world.mine.ids, provider: "vercel" });
	const sample = sampleOf(world, operation).body;
	const body = inBody ? { ...sample, [field]: value } : sample;
	const query = inBody ? "" : `?${field}=${encodeURIComponent(value)}`;
	const sent = { key: world.mine.key, ...(body === undefined ? {} : { body }) };
	const answer = await world.server.call(operation.method, `${path}${query}`, sent);
	const { request_id: _, ...said } = answer.body;
	return { status: answer.status, said };
}

describe("an id of another organization in a body or a query", () => {
	it("is answered exactly as an id of nothing is, and takes nothing from there", async () => {
		expect(places().map(({ operation, field }) => `${operation.id} ${field}`)).toEqual(
			expect.arrayContaining([
				"createApiKey project_id",
				"createProject organization_id",
				"createWebhookEndpoint project_id",
				"listProjects organization_id",
				"publishEvents project_id",
				"startOAuth project_id",
				"updateWebhookEndpoint project_id",
			]),
		);
		for (const place of places()) {
			const foreign = world.theirs.ids[namingFields[place.field] ?? ""] ?? "";
			const unknown = `${foreign.split("_")[0]}_01h455vb4pex5vsknk084sn02q`;
			const [one, other] = [await send(place, foreign), await send(place, unknown)];
			const name = `${place.operation.id} ${place.field}`;
			expect([name, one]).toEqual([name, other]);
			const isRefused = [400, 403, 404].includes(one.status);
			const holdsNothing = !JSON.stringify(one.said).includes(foreign);
			expect([name, isRefused, holdsNothing]).toEqual([name, true, true]);
		}
	});

	it("is refused for every event of a batch when one names it", async () => {
		const { server, mine, theirs } = world;
		const events = [
			{ type: "a.b", data: 1 },
			{ type: "a.b", data: 2, project_id: theirs.projectId },
		];
		const path = `/v1/organizations/${mine.organizationId}/events`;
		const { status } = await server.call("POST", path, { key: mine.key, body: { events } });
		expect([400, 404]).toContain(status);
		expect(await server.sql("select 1 from events where type = 'a.b'")).toEqual([]);
	});
});
