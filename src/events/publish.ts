import type { Context } from "../context.ts";
import { AppError, invalid } from "../core/errors.ts";
import { isId, type OrganizationId, type ProjectId } from "../core/ids.ts";
import { numeral } from "../core/numeral.ts";
import type { NewEvent, WebhookEvent } from "./event.ts";
import { isServerType } from "./event-types.ts";
import { publishEvents, tracePublishing } from "./publish-events.ts";

/** An event as a publisher sent it; `data` is the source of the value. */
export type PublishInput = {
	type: string;
	data: string;
	projectId: string | null;
	idempotencyKey: string | null;
};

type Input = { organizationId: OrganizationId; events: readonly PublishInput[] };

const dataBytesMax = 256 * 1024;
const deliveriesInBatchMax = 50_000;

/**
 * Publishes a customer's events, all or none. Throws a 400 for a type that only the server emits, for a project of
 * someone else and for a batch that would make too many deliveries; a 413 for an event that is too large.
 */
export async function publish(
	ctx: Pick<Context, "stores" | "wakeDeliveries" | "clock" | "config" | "publishTogether" | "tracing">,
	{ organizationId, events }: Input,
): Promise<{ events: WebhookEvent[]; deliveries: number }> {
	const checked = await checkEvents(ctx, organizationId, events);
	const { fresh, places } = mergeByKey(checked);
	if (fresh.length > 1 && (await ctx.stores.publish.countMatches(fresh)) > deliveriesInBatchMax) {
		const most = numeral(deliveriesInBatchMax);
		throw new AppError(
			"invalid",
			"events.too_many_deliveries",
			`\`events\` would make more than ${most} deliveries; send fewer at once.`,
		);
	}
	const [first, ...others] = fresh;
	const isLone = first && others.length === 0;
	const published = isLone
		? await tracePublishing(ctx, fresh, async () => [await ctx.publishTogether(first)])
		: await publishEvents(ctx, fresh);
	const distinct = new Map(published.map((event) => [event.id, event]));
	return {
		events: places.map((place) => published[place] as WebhookEvent),
		deliveries: [...distinct.values()].reduce((sum, event) => sum + event.deliveryCount, 0),
	};
}

async function checkEvents(
	ctx: Pick<Context, "stores">,
	organizationId: OrganizationId,
	events: readonly PublishInput[],
): Promise<NewEvent[]> {
	const projects = await findProjects(ctx, organizationId, events);
	return events.map((event) => {
		if (isServerType(event.type)) {
			throw invalid("type", `\`type\` ${event.type} is sent by the server itself and cannot be published.`);
		}
		if (Buffer.byteLength(event.data) > dataBytesMax) {
			throw new AppError("too_large", "data.too_large", "`data` is larger than 256 KiB.");
		}
		const projectId = event.projectId === null ? null : (projects.get(event.projectId) ?? null);
		const key = event.idempotencyKey === null ? {} : { idempotencyKey: event.idempotencyKey };
		return { organizationId, projectId, type: event.type, data: event.data, ...key };
	});
}

/** The projects that events name, which all are the organization's. */
async function findProjects(
	ctx: Pick<Context, "stores">,
	organizationId: OrganizationId,
	events: readonly PublishInput[],
): Promise<Map<string, ProjectId>> {
	const named = new Set(events.map((event) => event.projectId).filter((text) => text !== null));
	const ids = [...named].filter((text) => isId("prj", text));
	const found = await ctx.stores.projects.findIds(organizationId, ids);
	if (found.length < named.size) {
		throw invalid("project_id", "`project_id` is not a project of this organization.");
	}
	return new Map(found.map((id) => [id, id]));
}

/** Events of one batch with one key are one event, the first; `places` says where each given one went. */
function mergeByKey(events: readonly NewEvent[]): { fresh: NewEvent[]; places: number[] } {
	const fresh: NewEvent[] = [];
	const placeOfKey = new Map<string, number>();
	const places = events.map((event) => {
		const known = event.idempotencyKey === undefined ? undefined : placeOfKey.get(event.idempotencyKey);
		if (known !== undefined) return known;
		if (event.idempotencyKey !== undefined) placeOfKey.set(event.idempotencyKey, fresh.length);
		return fresh.push(event) - 1;
	});
	return { fresh, places };
}
