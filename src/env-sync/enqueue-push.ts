import type { Context, Transaction } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { enqueueWork } from "../integrations/enqueue-work.ts";
import type { Integration } from "../integrations/integration.ts";
import type { Job } from "../jobs/job.ts";

export const pushType = "integration.sync_env";

type Parts = Pick<Transaction, "stores" | "tasks">;

/** Queues a push of the project's URLs to a platform, unless one waits already. The integration is locked. */
export function enqueuePush(tx: Parts, integration: Integration): Promise<Job> {
	return enqueueWork(tx, integration, pushType);
}

/** Queues a push to every platform that is connected, in the transaction that changes the project's URLs. */
export function repush({ providers }: Pick<Context, "providers">) {
	const platforms = providers.deployment.map(({ id }) => id);
	return async (tx: Parts, projectId: ProjectId): Promise<void> => {
		for (const integration of await tx.stores.integrations.listPushedForUpdate(projectId, platforms)) {
			await enqueuePush(tx, integration);
		}
	};
}
