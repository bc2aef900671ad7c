import { randomBytes } from "node:crypto";
import type { Context } from "../../context.ts";
import type { PlatformTarget, RemoteHook } from "../../providers/deployment-provider.ts";
import { ProviderError } from "../../providers/errors.ts";
import type { PlatformHook } from "../integration.ts";
import { liveSigningSecrets, sealSigningSecret } from "../integration-secrets.ts";
import { hashPathToken, newPathToken } from "./hook-token.ts";
import { hookUrl, tokenIn } from "./hook-url.ts";
import type { Platform } from "./open-platform.ts";
import { sweepHooks } from "./sweep-hooks.ts";

type Parts = Pick<Context, "stores" | "transaction" | "vault" | "publicUrl" | "clock" | "log">;

const none: PlatformHook = { tokenHash: null, awaitedTokenHash: null, remote: [], target: null };

/**
 * Brings the platform's hook to what `config.preview_branches` asks for: one that calls us, or none. One that stands is
 * mended in place; else a new one is made, and the former counts until then. A refusal is reported in `config`. For the
 * holder of the platform's lease. Throws a ProviderError when the platform cannot be asked.
 */
export async function ensureHook(ctx: Parts, platform: Platform): Promise<void> {
	const { integration } = platform;
	const isWanted = integration.config.previewBranches ?? false;
	try {
		await (isWanted ? keepHook(ctx, platform) : removeHook(ctx, platform));
	} catch (error) {
		if (!(error instanceof ProviderError)) throw error;
		const made = isRefusal(error) && isWanted ? { hook: integration.hook } : {};
		// After a refusal nothing was made, so that no event of it is awaited either.
		await ctx.stores.integrations.update(integration.id, made, { set: { hookError: error.message } });
		if (!isRefusal(error)) throw error;
	}
}

async function keepHook(ctx: Parts, platform: Platform): Promise<void> {
	const { integration, access } = platform;
	const hook = integration.hook ?? none;
	if (!isAt(hook, access.target) || !(await isStanding(ctx, platform, hook))) {
		return makeHook(ctx, platform, hook);
	}
	await ctx.stores.integrations.report(integration.id, { drop: ["hookError"] });
	await sweepHooks(ctx, platform);
}

/** Whether the hook that we keep stands, after mending. Its URL, which we do not keep, is read back from the platform. */
async function isStanding(ctx: Parts, platform: Platform, hook: PlatformHook): Promise<boolean> {
	const { integration, provider, access } = platform;
	if (hook.tokenHash === null) return false;
	const found = await provider.listHooks(access);
	const tokens = found.flatMap(({ url }) => tokenIn(url) ?? []);
	const token = tokens.find((each) => hashPathToken(each) === hook.tokenHash);
	if (token === undefined) return false;
	const url = hookUrl(ctx.publicUrl(), platform, token);
	const hooks = hook.remote.map((each) => ({ ...each, url }));
	const [secret = null] = liveSigningSecrets(ctx.vault, integration, ctx.clock.now());
	const check = await provider.checkHook(access, { hooks, url, secret });
	if (check.state === "repaired") {
		await ctx.stores.integrations.update(integration.id, {
			hook: { ...hook, remote: check.hooks.map(withoutUrl) },
		});
	}
	return check.state !== "missing";
}

/** The new token is kept before the platform hears it: an event may come before the answer does. */
async function makeHook(ctx: Parts, platform: Platform, former: PlatformHook): Promise<void> {
	const { integration, provider, access } = platform;
	const token = newPathToken();
	const tokenHash = hashPathToken(token);
	await ctx.stores.integrations.update(integration.id, { hook: { ...former, awaitedTokenHash: tokenHash } });
	const url = hookUrl(ctx.publicUrl(), platform, token);
	const secret = randomBytes(32).toString("hex");
	const { hooks, signingSecret, note } = await provider.registerHook(access, { url, secret });
	const { target } = access;
	await ctx.stores.integrations.update(
		integration.id,
		{
			hook: { tokenHash, awaitedTokenHash: null, remote: hooks.map(withoutUrl), target },
			signingSecrets:
				signingSecret === null
					? null
					: sealSigningSecret(ctx, integration, { provider, secret: signingSecret }),
		},
		{ drop: ["hookError", "hookNote"], set: note === null ? {} : { hookNote: note } },
	);
	await sweepFormer(ctx, platform, former);
}

/** The new hook counts already: what cannot be deleted calls a path that nobody answers, and is named to the customer. */
async function sweepFormer(ctx: Parts, platform: Platform, former: PlatformHook): Promise<void> {
	try {
		await sweepHooks(ctx, platform, former);
	} catch (error) {
		if (!(error instanceof ProviderError)) throw error;
		const hookNote = `An earlier webhook could not be deleted: ${error.message}`;
		await ctx.stores.integrations.report(platform.integration.id, { set: { hookNote } });
	}
}

async function removeHook(ctx: Parts, platform: Platform): Promise<void> {
	const { integration } = platform;
	if (integration.hook === null) {
		if (integration.status.hookError !== undefined) {
			await ctx.stores.integrations.report(integration.id, { drop: ["hookError"] });
		}
		return;
	}
	const former = integration.hook;
	await ctx.stores.integrations.update(
		integration.id,
		{ hook: { ...none, remote: former.remote, target: former.target }, signingSecrets: null },
		{ drop: ["hookError", "hookNote"] },
	);
	await sweepHooks(ctx, platform, former);
	await ctx.stores.integrations.update(integration.id, { hook: null });
}

function isAt({ target }: PlatformHook, wanted: PlatformTarget): boolean {
	return target !== null && target.id === wanted.id;
}

function isRefusal({ reason }: ProviderError): boolean {
	return reason !== "unavailable" && reason !== "rate_limited" && reason !== "unexpected_answer";
}

function withoutUrl({ id, event }: RemoteHook): { id: string; event: string | null } {
	return { id, event };
}
