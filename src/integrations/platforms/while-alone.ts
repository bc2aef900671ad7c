import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import type { Context } from "../../context.ts";
import type { Integration } from "../integration.ts";
import { platformBusy } from "./errors.ts";

const leaseSeconds = 20;
const prolongEveryMs = 5_000;
const askEveryMs = 100;
const waitMsMax = 30_000;

type Place = Pick<Integration, "organizationId" | "projectId" | "provider">;

/**
 * Runs `work` while nobody else, on any replica, changes what stands at this project's platform. Its signal aborts
 * when the lease is lost. A process that died holds it for 20 s at most. Throws a 503 when it is not free in time.
 */
export async function whileAlone<Result>(
	ctx: Pick<Context, "stores" | "log">,
	place: Place,
	{ signal, waitMs = waitMsMax }: { signal?: AbortSignal | undefined; waitMs?: number },
	work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
	const holder = randomUUID();
	await take(ctx, place, holder, { signal, waitMs });
	const lost = new AbortController();
	const timer = setInterval(() => void prolong(ctx, place, holder, lost), prolongEveryMs);
	try {
		return await work(signal ? AbortSignal.any([signal, lost.signal]) : lost.signal);
	} finally {
		clearInterval(timer);
		await ctx.stores.platformLeases.give(place, holder);
	}
}

async function take(
	ctx: Pick<Context, "stores">,
	place: Place,
	holder: string,
	{ signal, waitMs }: { signal?: AbortSignal | undefined; waitMs: number },
): Promise<void> {
	const endAt = performance.now() + waitMs;
	while (!(await ctx.stores.platformLeases.take(place, holder, leaseSeconds))) {
		signal?.throwIfAborted();
		if (performance.now() > endAt) throw platformBusy();
		await setTimeout(askEveryMs);
	}
}

async function prolong(
	ctx: Pick<Context, "stores" | "log">,
	place: Place,
	holder: string,
	lost: AbortController,
): Promise<void> {
	try {
		if (!(await ctx.stores.platformLeases.prolong(place, holder, leaseSeconds))) lost.abort(platformBusy());
	} catch (error) {
		ctx.log.warn(
			{ project_id: place.projectId, provider: place.provider, err: error },
			"a lease was not kept",
		);
	}
}
