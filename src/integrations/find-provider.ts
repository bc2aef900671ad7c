import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { Provider } from "../providers/registry.ts";

/** The provider that a path names. Throws a 404 for one that this server does not know. */
export function findProvider(ctx: Pick<Context, "providers">, params: { provider: string }): Provider {
	const provider = ctx.providers.find(params.provider);
	if (!provider) throw notFound("provider");
	return provider;
}

/** As a part of an operation's name: `better_auth` reads `BetterAuth`. */
export function operationName(provider: Pick<Provider, "id">): string {
	return provider.id.replace(/(?:^|[_-])([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
