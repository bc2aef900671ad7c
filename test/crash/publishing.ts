import { setTimeout as pause } from "node:timers/promises";
import type { Random } from "../hostile/random.ts";
import type { Site } from "./site.ts";
import type { Tenant } from "./tenants.ts";

/** An event that the server has taken, as its publisher knows it. */
export type Taken = { key: string; type: string };

export type Publishing = {
	/** By the event's id. */
	taken: Map<string, Taken>;
	/** Keys that stood for another event on being repeated, and events that were answered with another count. */
	contradictions: string[];
	stop(): Promise<void>;
};

const types = ["order.created", "order.paid", "stock.low"];
/** The endpoints, named by their paths, and which of these types each one wants. */
export const endpoints = [
	{ name: "all", event_types: [] as string[], wants: (_type: string) => true },
	{ name: "orders", event_types: ["order.*"], wants: (type: string) => type.startsWith("order.") },
];

const publishers = 4;

/** Publishes without pause, single events and batches, each with a key and until it is taken. */
export function startPublishing(site: Site, { organizationId, key }: Tenant, random: Random): Publishing {
	const path = `/v1/organizations/${organizationId}/events`;
	const taken: Publishing["taken"] = new Map();
	const contradictions: string[] = [];
	let isOver = false;
	let made = 0;
	const newEvent = () => {
		made += 1;
		const [type, own] = [random.pick(types), `key-${made}`];
		return { type, idempotency_key: own, data: { key: own, text: "x".repeat(random.below(200)) } };
	};
	const take = (events: { id: string; deliveries: number }[], sent: ReturnType<typeof newEvent>[]) => {
		for (const [at, { id, deliveries }] of events.entries()) {
			const { type, idempotency_key: own = "" } = sent[at] ?? {};
			if (type === undefined || taken.has(id)) contradictions.push(`${own} is ${id}`);
			const wanted = endpoints.filter(({ wants }) => wants(type ?? "")).length;
			if (deliveries !== wanted) contradictions.push(`${id} has ${deliveries} deliveries, not ${wanted}`);
			taken.set(id, { key: own, type: type ?? "" });
		}
	};
	const publishOne = async () => {
		const event = newEvent();
		const answer = await site.insist(202, "POST", path, { key, body: event });
		take([answer.event], [event]);
		await pause(10);
	};
	const publishBatch = async () => {
		const events = Array.from({ length: 2 + random.below(30) }, newEvent);
		const answer = await site.insist(202, "POST", path, { key, body: { events } });
		take(answer.events, events);
		await pause(150);
	};
	const repeat = async (publish: () => Promise<void>) => {
		while (!isOver) await publish();
	};
	const working = Promise.all([
		...Array.from({ length: publishers }, () => repeat(publishOne)),
		repeat(publishBatch),
	]);
	working.catch(() => undefined);
	return {
		taken,
		contradictions,
		stop: async () => {
			isOver = true;
			await working;
		},
	};
}
