import { type EndpointId, fromUuid, toUuid } from "../../core/ids.ts";
import type { Database } from "../../platform/db.ts";
import type { ClaimedDelivery } from "./claim-store.ts";
import type { Verdict } from "./verdict.ts";

/** One finished attempt: what came of it, and what is kept for the attempts log. */
export type AttemptResult = {
	/** Of the attempt, as the database keeps it: given once, so that a result that is written again is known by it. */
	id: string;
	delivery: ClaimedDelivery;
	verdict: Verdict;
	at: Date;
	durationMs: number;
	responseHeaders: [name: string, value: string][] | null;
	responseBody: string | null;
	/** The receiver is at an allowlisted private address. */
	isPrivate: boolean;
};

export function settleStore(database: Database) {
	return {
		/**
		 * Writes the attempts, and moves on the deliveries whose claim still holds; a result that comes after its
		 * lease was taken over leaves its attempt in the log and changes nothing else. One statement, refused whole
		 * when it holds an attempt that is there already. Returns the endpoints that wait for a retry.
		 */
		async settle(results: readonly AttemptResult[]): Promise<EndpointId[]> {
			const verdicts = results.map((result) => result.verdict);
			const failures = verdicts.map((verdict) => (verdict.state === "delivered" ? null : verdict));
			const health = healthOf(results);
			const rows = await database.prepared<{ endpoint_id: string }>("settle_deliveries", settleSql, [
				results.map((result) => toUuid(result.delivery.organizationId)),
				results.map((result) => toUuid(result.delivery.id)),
				results.map((result) => toUuid(result.delivery.endpointId)),
				results.map((result) => result.delivery.claimId),
				results.map((result) => result.delivery.attempts),
				verdicts.map((verdict) => verdict.state),
				verdicts.map((verdict) => verdict.responseStatus),
				failures.map((failure) => failure?.errorCode ?? null),
				failures.map((failure) => failure?.error ?? null),
				failures.map((failure) => failure?.waitMs ?? null),
				results.map((result) => result.at),
				results.map((result) => result.durationMs),
				results.map((result) =>
					result.responseHeaders === null ? null : JSON.stringify(result.responseHeaders),
				),
				results.map((result) => result.responseBody),
				results.map((result) => result.isPrivate),
				results.map((result) => result.id),
				health.map((each) => toUuid(each.endpointId)),
				health.map((each) => each.successAt),
				health.map((each) => each.failureAt),
				health.map((each) => each.failingSince),
				health.map((each) => each.trailingFailures),
			]);
			return rows.map((row) => fromUuid("whe", row.endpoint_id));
		},
	};
}

// Rows of several endpoints are locked in their order, here as in every statement: else two would wait for each other.
// A response of a private address is kept only while one organization is alone on the server: for any other it
// would be a window into the operator's network.
const settleSql = `
with result as (
	select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::int[], $8::text[],
		$9::text[], $10::float8[], $11::timestamptz[], $12::int[], $13::jsonb[], $14::text[], $15::boolean[], $16::uuid[])
	as r(organization_id, id, endpoint_id, claim_id, number, state, status, error_code, error, wait_ms, at, duration_ms,
		headers, body, is_private, attempt_id)
), shared as (
	select count(*) > 1 as by_many from (select 1 from organizations limit 2) o
), attempted as (
	insert into delivery_attempts (organization_id, id, endpoint_id, delivery_id, number, at, duration_ms,
		response_status, error_code, error, response_headers, response_body)
	select organization_id, attempt_id, endpoint_id, id, number, at, duration_ms, status, error_code, error,
		case when is_private and by_many then null else headers end,
		case when is_private and by_many then null else body end
	from result, shared
), settled as (
	update deliveries d set
		state = r.state,
		next_attempt_at = clock_now() + r.wait_ms * interval '1 millisecond',
		claim_id = null,
		lease_until = null,
		response_status = r.status,
		error_code = r.error_code,
		last_error = r.error,
		delivered_at = case when r.state = 'delivered' then clock_now() end,
		updated_at = clock_now()
	from result r
	where d.organization_id = r.organization_id and d.id = r.id and d.claim_id = r.claim_id and d.state = 'pending'
	returning d.endpoint_id, d.next_attempt_at
), health as (
	update endpoint_health h set
		last_success_at = coalesce(c.success_at, h.last_success_at),
		last_failure_at = coalesce(c.failure_at, h.last_failure_at),
		failing_since = case when c.success_at is null then coalesce(h.failing_since, c.failing_since) else c.failing_since end,
		consecutive_failures = c.failures + case when c.success_at is null then h.consecutive_failures else 0 end
	from unnest($17::uuid[], $18::timestamptz[], $19::timestamptz[], $20::timestamptz[], $21::int[])
		as c(endpoint_id, success_at, failure_at, failing_since, failures)
	where h.endpoint_id = c.endpoint_id
		and (c.failure_at is not null or h.consecutive_failures > 0
			or h.last_success_at is null or h.last_success_at < c.success_at - interval '1 second')
), retrying as (
	select endpoint_id, min(next_attempt_at) as due_at from settled
	where next_attempt_at is not null group by endpoint_id
), locked as (
	select l.endpoint_id, r.due_at from retrying r join delivery_lanes l on l.endpoint_id = r.endpoint_id
	order by l.endpoint_id for update of l
)
update delivery_lanes l set due_at = least(l.due_at, k.due_at)
from locked k where l.endpoint_id = k.endpoint_id
returning l.endpoint_id`;

type HealthChange = {
	endpointId: EndpointId;
	successAt: Date | null;
	failureAt: Date | null;
	/** Start of the failures after the last success in these results. */
	failingSince: Date | null;
	trailingFailures: number;
};

function healthOf(results: readonly AttemptResult[]): HealthChange[] {
	const changes = new Map<EndpointId, HealthChange>();
	for (const { delivery, verdict, at } of results) {
		const { endpointId } = delivery;
		const change = changes.get(endpointId) ?? {
			endpointId,
			successAt: null,
			failureAt: null,
			failingSince: null,
			trailingFailures: 0,
		};
		changes.set(endpointId, change);
		if (verdict.state === "delivered") {
			change.successAt = at;
			change.failingSince = null;
			change.trailingFailures = 0;
		} else {
			change.failureAt = at;
			change.failingSince ??= at;
			change.trailingFailures += 1;
		}
	}
	return [...changes.values()].toSorted((left, right) => (left.endpointId < right.endpointId ? -1 : 1));
}
