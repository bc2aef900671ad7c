import type { Context } from "../../context.ts";
import { AppError } from "../../core/errors.ts";
import type { IntegrationId } from "../../core/ids.ts";
import { ProviderError } from "../../providers/errors.ts";
import { asProviderDown } from "./deadline.ts";
import { ensureHook } from "./ensure-hook.ts";
import { openPlatform } from "./open-platform.ts";
import { whileAlone } from "./while-alone.ts";

/** Together with the check of the token and the writes, a connect call stays below 20 s. */
const deadlineMs = 7_000;
const waitMs = 1_500;

/** After that long nothing of it goes on any more. */
export const hookMsMax = 10_000;

/**
 * Brings the hook of an integration that was just connected to what its `config` asks for. Never fails: what goes wrong
 * is reported in `config`, and what could only not be done in time is left to the reconciliation that follows.
 */
export async function setUpHook(ctx: Context, id: IntegrationId): Promise<void> {
	const deadline = AbortSignal.timeout(deadlineMs);
	const { integration, provider } = await openPlatform(ctx, id);
	try {
		await whileAlone(ctx, integration, { signal: deadline, waitMs }, async (signal) =>
			ensureHook(ctx, await openPlatform(ctx, id, signal)),
		);
	} catch (thrown) {
		const error = asProviderDown(provider, deadline, thrown);
		if (!(error instanceof ProviderError) && !(error instanceof AppError)) throw error;
		await ctx.stores.integrations.report(id, { set: { hookError: error.message } });
	}
}
