import { and, count, desc, eq, isNotNull, lt, sql } from "drizzle-orm";
import type { EndpointId, OrganizationId, SecretId } from "../core/ids.ts";
import { deliveryLanes } from "../deliveries/table.ts";
import type { Database } from "../platform/db.ts";
import { holdName } from "../platform/named-lock.ts";
import type { EndpointHealth, WebhookEndpoint } from "./endpoint.ts";
import { endpointHealth, endpointSecrets, webhookEndpoints } from "./table.ts";

type NewEndpoint = Omit<WebhookEndpoint, "createdAt" | "updatedAt" | "disabledReason">;
type Changes = Partial<Omit<WebhookEndpoint, "id" | "organizationId" | "createdAt" | "updatedAt">>;
export type NewSecret = {
	id: SecretId;
	organizationId: OrganizationId;
	endpointId: EndpointId;
	secret: string;
};

export function endpointStore({ orm }: Database) {
	return {
		/** Writes the endpoint with its lane and its health. */
		async insert(endpoint: NewEndpoint): Promise<WebhookEndpoint> {
			const [row] = await orm.insert(webhookEndpoints).values(endpoint).returning();
			const { id: endpointId, organizationId } = endpoint;
			await orm.insert(deliveryLanes).values({ endpointId, organizationId });
			await orm.insert(endpointHealth).values({ endpointId, organizationId });
			return row as WebhookEndpoint;
		},

		async find(id: EndpointId): Promise<WebhookEndpoint | null> {
			const [row] = await orm.select().from(webhookEndpoints).where(eq(webhookEndpoints.id, id));
			return row ?? null;
		},

		/** Holds the row until the transaction ends, so that two changes of it come one after the other. */
		async lock(id: EndpointId): Promise<WebhookEndpoint | null> {
			const [row] = await orm
				.select()
				.from(webhookEndpoints)
				.where(eq(webhookEndpoints.id, id))
				.for("update");
			return row ?? null;
		},

		/** Keeps it from being deleted until the transaction ends; whoever changes it does not wait. */
		async keep(id: EndpointId): Promise<WebhookEndpoint | null> {
			const [row] = await orm
				.select()
				.from(webhookEndpoints)
				.where(eq(webhookEndpoints.id, id))
				.for("key share");
			return row ?? null;
		},

		/** Counts with others shut out until the transaction ends, so that a limit holds. */
		async countExclusively(organizationId: OrganizationId): Promise<number> {
			await holdName({ orm }, `webhook_endpoints:${organizationId}`);
			const [row] = await orm
				.select({ total: count() })
				.from(webhookEndpoints)
				.where(eq(webhookEndpoints.organizationId, organizationId));
			return row?.total ?? 0;
		},

		/** Newest first; with a limit, one row more, to show whether there are more. */
		async list(
			organizationId: OrganizationId,
			page: { limit: number | null; before: EndpointId | null },
		): Promise<{ endpoint: WebhookEndpoint; health: EndpointHealth }[]> {
			const query = orm
				.select({ endpoint: webhookEndpoints, health: endpointHealth })
				.from(webhookEndpoints)
				.innerJoin(endpointHealth, eq(endpointHealth.endpointId, webhookEndpoints.id))
				.where(
					and(
						eq(webhookEndpoints.organizationId, organizationId),
						page.before === null ? undefined : lt(webhookEndpoints.id, page.before),
					),
				)
				.orderBy(desc(webhookEndpoints.id));
			return page.limit === null ? query : query.limit(page.limit + 1);
		},

		async health(id: EndpointId): Promise<EndpointHealth | null> {
			const [row] = await orm.select().from(endpointHealth).where(eq(endpointHealth.endpointId, id));
			return row ?? null;
		},

		/** Holds the endpoint's health until the transaction ends; whoever locks the endpoint too does so after it. */
		async lockHealth(id: EndpointId): Promise<void> {
			await orm.select().from(endpointHealth).where(eq(endpointHealth.endpointId, id)).for("update");
		},

		async update(id: EndpointId, changes: Changes): Promise<WebhookEndpoint | null> {
			const [row] = await orm
				.update(webhookEndpoints)
				.set({ ...changes, updatedAt: sql`clock_now()` })
				.where(eq(webhookEndpoints.id, id))
				.returning();
			return row ?? null;
		},

		/** Begins the count of days anew after which a failing endpoint is disabled. */
		async forgiveFailures(id: EndpointId): Promise<void> {
			await orm.update(endpointHealth).set({ failingSince: null }).where(eq(endpointHealth.endpointId, id));
		},

		/** False when it was not there. */
		async delete(id: EndpointId): Promise<boolean> {
			const rows = await orm
				.delete(webhookEndpoints)
				.where(eq(webhookEndpoints.id, id))
				.returning({ id: webhookEndpoints.id });
			return rows.length > 0;
		},

		async insertSecret(secret: NewSecret): Promise<void> {
			await orm.insert(endpointSecrets).values(secret);
		},

		/**
		 * Ends the earlier secrets: at once, or the current one after the grace and all older ones at once, so that at
		 * most two are live. The current one is the one without an end; ids come from the clocks of several processes.
		 */
		async retireSecrets(endpointId: EndpointId, graceSeconds: number): Promise<void> {
			const ofEndpoint = eq(endpointSecrets.endpointId, endpointId);
			if (graceSeconds === 0) {
				await orm.delete(endpointSecrets).where(ofEndpoint);
				return;
			}
			await orm.delete(endpointSecrets).where(and(ofEndpoint, isNotNull(endpointSecrets.expiresAt)));
			await orm
				.update(endpointSecrets)
				.set({ expiresAt: sql`clock_now() + ${graceSeconds} * interval '1 second'` })
				.where(ofEndpoint);
		},
	};
}
