import type { Api } from "../api/operations.ts";
import type { World } from "../api/world.ts";
import type { Answer } from "../support/server.ts";
import { createAsker } from "./ask.ts";
import { createJudge } from "./judge.ts";
import { createRandom } from "./random.ts";
import { type HostileRequest, hostileRequest, type Ids, makeCallers } from "./requests.ts";

export type Walk = {
	/** One line for each answer that was wrong, with the request. */
	faults: string[];
	/** How often each status was answered. */
	statuses: Record<string, number>;
	/** For each operation, how often it answered 2xx. */
	taken: Map<string, number>;
};

const atOnce = 6;
const faultsMax = 40;

/** Sends hostile requests to all operations, several at once, and judges each answer. The seed decides them all. */
export async function walk(
	world: World,
	api: Api,
	{ seed, count }: { seed: number; count: number },
): Promise<Walk> {
	const random = createRandom(seed);
	const judge = createJudge(world, api);
	const asker = createAsker(atOnce);
	const callers = await makeCallers(world);
	const ids: Ids = { fixed: world.mine.ids, made: new Map() };
	const result: Walk = { faults: [], statuses: {}, taken: new Map() };
	for (let sent = 0; sent < count && result.faults.length < faultsMax; sent += atOnce) {
		const batch = Array.from({ length: atOnce }, () =>
			hostileRequest(random, { world, operations: api.operations, callers, ids }),
		);
		const answers = await Promise.all(
			// Failed authentications are limited by address: each request has its own.
			batch.map((each, at) => asker.ask(world.server.url, each, addressOf(sent + at))),
		);
		for (const [at, answer] of answers.entries()) {
			const each = batch[at] as HostileRequest;
			const fault = judge.faultOf(each, answer);
			if (fault !== null) result.faults.push(`request ${sent + at}: ${fault}: ${describe(each, answer)}`);
			result.statuses[answer.status] = (result.statuses[answer.status] ?? 0) + 1;
			if (answer.status >= 300) continue;
			result.taken.set(each.operation.id, (result.taken.get(each.operation.id) ?? 0) + 1);
			remember(ids, each, answer);
		}
	}
	asker.close();
	return result;
}

/** Keeps the ids of what was made, for later paths. */
function remember(ids: Ids, { operation, caller }: HostileRequest, { body }: Answer): void {
	if (operation.method !== "POST" || caller.name === "operator" || caller.name === "neighbour") return;
	const found: [string, string | undefined][] = [
		["projectID", body?.project?.id],
		["previewID", body?.preview?.id],
		["keyID", body?.api_key?.id],
		["endpointID", body?.webhook_endpoint?.id],
		["eventID", body?.event?.id],
		["jobID", body?.job?.id],
	];
	for (const [name, id] of found) {
		if (id !== undefined) ids.made.set(name, [...(ids.made.get(name) ?? []).slice(-20), id]);
	}
}

function addressOf(number: number): string {
	return `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
}

function describe({ operation, caller, target, headers, body }: HostileRequest, answer: Answer): string {
	const shown = body === null ? "" : Buffer.from(body).toString().slice(0, 600);
	return `${operation.id} as ${caller.name}: ${operation.method} ${target.slice(0, 300)} ${JSON.stringify(headers)} ${shown} → ${answer.status} ${answer.text.slice(0, 400)}`;
}
