import { apiKeyStore } from "./api-keys/store.ts";
import { auditStore } from "./audit/store.ts";
import type { Config } from "./config.ts";
import type { Clock } from "./core/clock.ts";
import type { EndpointId, IntegrationId, JobId } from "./core/ids.ts";
import type { Log } from "./core/log.ts";
import type { Tracing } from "./core/tracing.ts";
import { backlogStore } from "./deliveries/backlog-store.ts";
import { byHandStore } from "./deliveries/by-hand-store.ts";
import { pauseStore } from "./deliveries/pause-store.ts";
import { replayStore } from "./deliveries/replay/replay-store.ts";
import { deliveryStore } from "./deliveries/store.ts";
import { branchStore } from "./deployments/branch-store.ts";
import { deploymentStore } from "./deployments/store.ts";
import { sealedStore } from "./encryption/store.ts";
import { pushedVariableStore } from "./env-sync/store.ts";
import { writeEvents } from "./events/publish-events.ts";
import { publishStore } from "./events/publish-store.ts";
import { createPublishTogether, type PublishTogether } from "./events/publish-together.ts";
import { eventStore } from "./events/store.ts";
import { inboundStore } from "./inbound/store.ts";
import { leaseStore } from "./integrations/platforms/lease-store.ts";
import { rejectionStore } from "./integrations/rejection-store.ts";
import { integrationStore } from "./integrations/store.ts";
import { jobStore } from "./jobs/store.ts";
import type { Meters } from "./meters.ts";
import { oauthFlowStore } from "./oauth/store.ts";
import { organizationStore } from "./organizations/store.ts";
import type { AddressGuard } from "./platform/address-guard.ts";
import type { ClerkSessions } from "./platform/clerk-sessions.ts";
import type { Database, DatabasePool } from "./platform/db.ts";
import type { PostgresTools } from "./platform/postgres-tools.ts";
import type { ProjectDatabases } from "./platform/project-db.ts";
import type { Queue, Tasks } from "./platform/queue.ts";
import type { Sender } from "./platform/sender.ts";
import type { Vault } from "./platform/vault.ts";
import { previewStore } from "./previews/store.ts";
import { projectStore } from "./projects/store.ts";
import type { ProviderRegistry } from "./providers/registry.ts";
import { retentionStore } from "./retention/store.ts";
import { endpointStore } from "./webhook-endpoints/store.ts";

/** Every task and what it carries: identifiers, never secrets. The rows say what is to be done. */
export type TaskData = {
	"jobs.run": { jobId: JobId };
	"jobs.run_long": { jobId: JobId };
	"inbound.apply": { integrationId: IntegrationId };
	"integrations.reconcile": { integrationId: IntegrationId };
	"integrations.reconcile_due": Record<string, never>;
	"deliveries.dispatch": Record<string, never>;
	"projects.drop_expired": Record<string, never>;
	"previews.delete_due": Record<string, never>;
	"oauth.discard_expired": Record<string, never>;
	"branches.sweep": Record<string, never>;
	"users.reconcile": Record<string, never>;
	"tables.maintain": Record<string, never>;
};

export type Stores = ReturnType<typeof createStores>;

/** What operations may reach; each takes the part that it names in its signature. */
export type Context = {
	config: Config;
	log: Log;
	meters: Meters;
	tracing: Tracing;
	/** The database's time. */
	clock: Clock;
	/** Names this process in `claimed_by` and in the log. */
	replica: string;
	/** Where callers reach this server, without a trailing slash. */
	publicUrl: () => string;
	stores: Stores;
	tasks: Tasks<TaskData>;
	/** Runs `work` in one transaction: what it writes, publishes and enqueues exists together or not at all. */
	transaction<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result>;
	/** Tells the engine that these endpoints have due deliveries. Costs latency, never an event, when lost. */
	wakeDeliveries: (endpointIds: readonly EndpointId[]) => void;
	vault: Vault;
	webhookGuard: AddressGuard;
	databaseGuard: AddressGuard;
	/** Publishes one event, in one statement with others that are published at the same time. */
	publishTogether: PublishTogether;
	sender: Sender;
	providers: ProviderRegistry;
	clerkSessions: ClerkSessions;
	projectDatabases: ProjectDatabases;
	postgresTools: PostgresTools;
};

export type Transaction = Pick<
	Context,
	"stores" | "tasks" | "wakeDeliveries" | "clock" | "config" | "vault" | "tracing"
>;

/** The outside parts that a context is made of. */
export type ContextParts = Omit<Context, "stores" | "tasks" | "transaction" | "publishTogether"> & {
	database: DatabasePool;
	queue: Queue<TaskData>;
};

export function createContext({ database, queue, ...parts }: ContextParts): Context {
	const stores = createStores(database);
	return {
		...parts,
		stores,
		publishTogether: createPublishTogether((events) => writeEvents({ ...parts, stores }, events)),
		tasks: queue.tasks,
		transaction: async (work) => {
			const woken: EndpointId[] = [];
			const result = await database.transaction((within) =>
				work({
					stores: createStores(within),
					tasks: queue.within(within),
					wakeDeliveries: (endpointIds) => woken.push(...endpointIds),
					clock: parts.clock,
					config: parts.config,
					vault: parts.vault,
					tracing: parts.tracing,
				}),
			);
			parts.wakeDeliveries(woken);
			return result;
		},
	};
}

/** What counts the work that waits, for `/metrics`. */
export function createBacklogStores(database: Database) {
	return {
		deliveries: backlogStore(database),
		jobs: jobStore(database),
		inbound: inboundStore(database),
		retention: retentionStore(database),
	};
}

function createStores(database: Database) {
	return {
		organizations: organizationStore(database),
		apiKeys: apiKeyStore(database),
		audit: auditStore(database),
		projects: projectStore(database),
		previews: previewStore(database),
		jobs: jobStore(database),
		integrations: integrationStore(database),
		rejections: rejectionStore(database),
		deployments: deploymentStore(database),
		branches: branchStore(database),
		platformLeases: leaseStore(database),
		pushedVariables: pushedVariableStore(database),
		oauthFlows: oauthFlowStore(database),
		inbound: inboundStore(database),
		publish: publishStore(database),
		events: eventStore(database),
		endpoints: endpointStore(database),
		deliveries: deliveryStore(database),
		deliveriesByHand: byHandStore(database),
		deliveryBacklog: backlogStore(database),
		deliveryPause: pauseStore(database),
		replays: replayStore(database),
		retention: retentionStore(database),
		sealed: sealedStore(database),
	};
}
