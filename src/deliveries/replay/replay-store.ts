import { type SQL, sql } from "drizzle-orm";
import { toUuid, uuidFloor } from "../../core/ids.ts";
import { operationalTypes } from "../../events/event-types.ts";
import type { Database } from "../../platform/db.ts";
import type { ReplayProgress, ReplayScope } from "./replay.ts";

/** What one step found. `last` is where the next begins; null when the phase is over. */
export type ReplayStep = { last: string | null; matched: number };

type StepSettings = { rows: number; maxAttempts: number };

export function replayStore({ orm }: Database) {
	return {
		/** A mark in the order of deliveries: all that are made from now on come behind it. */
		async mark(): Promise<string> {
			const { rows } = await orm.execute<{ mark: string }>(sql`select uuid_v7() as mark`);
			return rows[0]?.mark ?? "";
		},

		/** Looks at the next rows of the phase and counts the events among them that are in scope. */
		async look(scope: ReplayScope, progress: ReplayProgress, rowsMax: number): Promise<ReplayStep> {
			const { rows } = await orm.execute<StepRow>(sql`${lookedAt(scope, progress, rowsMax)} ${outcome}`);
			return stepOf(rows, rowsMax);
		},

		/** Looks at the next rows of the phase and queues a delivery for each event among them that is in scope. */
		async step(scope: ReplayScope, progress: ReplayProgress, settings: StepSettings): Promise<ReplayStep> {
			const { rows } = await orm.execute<StepRow>(sql`
				${lookedAt(scope, progress, settings.rows)},
				queued as (
					insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
						max_attempts, next_attempt_at, created_at, updated_at)
					select ${toUuid(scope.organizationId)}::uuid, uuid_v7(), ${toUuid(scope.endpointId)}::uuid, event_id, type,
						'replay', 'pending', 0, ${settings.maxAttempts}::int, clock_now(), clock_now(), clock_now()
					from wanted
				) ${outcome}`);
			return stepOf(rows, settings.rows);
		},
	};
}

function lookedAt(scope: ReplayScope, { phase, cursor }: ReplayProgress, rows: number): SQL {
	const isSent = phase === "sent";
	const walked = isSent ? sentFrom(scope, cursor) : eventsFrom(scope, cursor);
	const wanted = isSent ? sentEvents(scope) : unsentEvents(scope);
	return sql`with walked as (${walked} order by id limit ${rows}), wanted as (${wanted})`;
}

type StepRow = { last: string | null; looked: number; matched: number };

const outcome = sql`select (select id from walked order by id desc limit 1) as last,
	(select count(*)::int from walked) as looked, (select count(*)::int from wanted) as matched`;

function stepOf([row]: StepRow[], rowsMax: number): ReplayStep {
	const isOver = row === undefined || row.looked < rowsMax;
	return { last: isOver ? null : row.last, matched: row?.matched ?? 0 };
}

// A process names events by its own clock, the database names deliveries by its: so far they may be apart.
const skewMs = 3600_000;

function firstId({ since }: ReplayScope): string {
	return uuidFloor(new Date(Math.max(0, since.getTime() - skewMs)));
}

function endId({ until }: ReplayScope): string {
	return uuidFloor(new Date(until.getTime() + skewMs));
}

/** The endpoint's deliveries that a replay looks at, late ones too: they may be an event's newest. */
function sentFrom(scope: ReplayScope, after: string | null): SQL {
	return sql`select id, event_id, state from deliveries
		where organization_id = ${toUuid(scope.organizationId)} and endpoint_id = ${toUuid(scope.endpointId)}
			and id > ${after ?? firstId(scope)}::uuid and id < ${scope.madeBefore}::uuid
			${scope.state === "failed" ? sql`and state = 'failed'` : sql``}
			${scope.eventId === null ? sql`` : sql`and event_id = ${toUuid(scope.eventId)}`}`;
}

/**
 * The events of those deliveries, each once: by the newest that went to the endpoint. One that waits already, by
 * whatever delivery, is left alone.
 */
function sentEvents(scope: ReplayScope): SQL {
	return sql`select e.id as event_id, e.type from walked w
		join events e on e.organization_id = ${toUuid(scope.organizationId)} and e.id = w.event_id
		where ${isInRange(scope)} and w.state <> 'pending' and not exists (
			select from deliveries n where n.event_id = w.event_id and n.endpoint_id = ${toUuid(scope.endpointId)}
				and (n.id > w.id or n.state = 'pending'))`;
}

/** The organization's events that a replay looks at for some that were not sent. */
function eventsFrom(scope: ReplayScope, after: string | null): SQL {
	return sql`select id from events
		where organization_id = ${toUuid(scope.organizationId)}
			and id > ${after ?? firstId(scope)}::uuid and id < ${endId(scope)}::uuid
			${scope.eventId === null ? sql`` : sql`and id = ${toUuid(scope.eventId)}`}`;
}

/** Those among them that the endpoint wants by its filter and its project, and that never went to it. */
function unsentEvents(scope: ReplayScope): SQL {
	return sql`select e.id as event_id, e.type from walked v
		join events e on e.organization_id = ${toUuid(scope.organizationId)} and e.id = v.id
		join webhook_endpoints w on w.id = ${toUuid(scope.endpointId)}
			and (w.project_id is null or w.project_id = e.project_id)
			and (e.type = any (w.event_types)
				or e.type <> all (${operationalList}) and (w.event_types = '{}' or exists (
					select from unnest(w.event_types) as f
					where f like '%*' and starts_with(e.type, left(f, -1)) and length(e.type) >= length(f))))
		where ${isInRange(scope)} and not exists (
			select from deliveries n where n.event_id = e.id and n.endpoint_id = w.id)`;
}

function isInRange({ since, until }: ReplayScope): SQL {
	return sql`e.created_at >= ${since.toISOString()}::timestamptz and e.created_at < ${until.toISOString()}::timestamptz
		and e.payload is not null and e.type <> 'webhook.test'`;
}

const operationalList = sql.raw(`'{${operationalTypes.join(",")}}'::text[]`);
