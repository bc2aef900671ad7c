import type { Context } from "../context.ts";
import { type Integration, type Rejections, recentRejectionsMax } from "../integrations/integration.ts";

type Rejected = Pick<Integration, "id" | "organizationId">;

export type RejectionRecorder = {
	/** Notes a refused webhook. Costs no more than memory: anyone can cause it. */
	record(integration: Rejected, refused: { reason: string; address: string }): void;
	/** Writes what is noted. */
	flush(): Promise<void>;
};

const flushEveryMs = 1_000;
const integrationsMax = 1_000;

/** Counts refused webhooks and keeps the last ones of each integration, without bodies; written once a second. */
export function createRejectionRecorder(ctx: Pick<Context, "stores" | "clock" | "log">): RejectionRecorder {
	let noted = new Map<Rejected["id"], { integration: Rejected; rejections: Rejections }>();
	let timer: NodeJS.Timeout | undefined;
	const flush = async () => {
		clearTimeout(timer);
		timer = undefined;
		const due = noted;
		noted = new Map();
		for (const { integration, rejections } of due.values()) {
			try {
				await ctx.stores.rejections.add(integration, rejections);
			} catch (error) {
				ctx.log.warn({ integration_id: integration.id, err: error }, "rejected webhooks could not be noted");
			}
		}
	};
	return {
		record: (integration, { reason, address }) => {
			const at = ctx.clock.now().toISOString();
			const before = noted.get(integration.id)?.rejections ?? { total: 0, recent: [] };
			if (noted.size >= integrationsMax && before.total === 0) return;
			const recent = [{ at, reason, address }, ...before.recent].slice(0, recentRejectionsMax);
			const { id, organizationId } = integration;
			noted.set(id, { integration: { id, organizationId }, rejections: { total: before.total + 1, recent } });
			timer ??= setTimeout(() => void flush(), flushEveryMs).unref();
		},
		flush,
	};
}
