import { toUuid } from "../../src/core/ids.ts";
import type { Answer, TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { type AddedEndpoint, type Body, getBody, type Owner } from "./webhook-server.ts";

export function postReplay(
	server: TestServer,
	owner: Owner,
	endpoint: Pick<AddedEndpoint, "path">,
	body: Body,
): Promise<Answer> {
	return server.call("POST", `${endpoint.path}/replay`, { key: owner.key, body });
}

/** Asks for a replay, waits until its job is over, and returns both. */
export async function replay(
	server: TestServer,
	owner: Owner,
	endpoint: Pick<AddedEndpoint, "path">,
	body: Body,
): Promise<{ answer: Body; job: Body }> {
	const answer = await postReplay(server, owner, endpoint, body);
	if (answer.status !== 202) throw new Error(`a replay was refused: ${answer.text}`);
	return { answer: answer.body, job: await jobOver(server, owner, answer.body.job.id) };
}

export function jobOver(server: TestServer, owner: Owner, jobId: string): Promise<Body> {
	return until(async () => {
		const { job } = await getBody(server, owner, `/v1/jobs/${jobId}`);
		return job.state === "completed" || job.state === "failed" ? job : null;
	});
}

/** Writes events with one delivery each that is over, without sending anything. */
export async function seedSent(
	server: TestServer,
	owner: Owner,
	endpoint: Pick<AddedEndpoint, "id">,
	{ count, state }: { count: number; state: "delivered" | "failed" },
): Promise<void> {
	await server.sql(
		`with seeded as (select uuid_v7() as id from generate_series(1, $3)),
		e as (insert into events (organization_id, id, type, payload, delivery_count, created_at)
			select $1, id, 'seeded', '{"id":"' || id || '"}', 1, clock_now() - interval '1 second' from seeded)
		insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
			max_attempts, error_code, created_at, updated_at)
		select $1, uuid_v7(), $2, id, 'seeded', 'event', $4, 1, 1, case $4 when 'failed' then 'http_5xx' end,
			clock_now(), clock_now() from seeded`,
		[toUuid(owner.organizationId), toUuid(endpoint.id), count, state],
	);
	await server.sql("analyze events, deliveries");
}

/** How many deliveries replays have made for an endpoint, and of how many events. */
export async function countReplayed(
	server: TestServer,
	endpoint: Pick<AddedEndpoint, "id">,
): Promise<{ deliveries: number; events: number }> {
	const [row] = await server.sql<{ deliveries: number; events: number }>(
		`select count(*)::int as deliveries, count(distinct event_id)::int as events from deliveries
		where endpoint_id = $1 and origin = 'replay'`,
		[toUuid(endpoint.id)],
	);
	return row ?? { deliveries: 0, events: 0 };
}
