import type { Context } from "../context.ts";

/** Gives created projects the address that the operator names now; run at every start. */
export async function refreshAddresses(ctx: Pick<Context, "stores" | "projectDatabases">): Promise<void> {
	const { host, directPort, pooledPort, sslMode } = ctx.projectDatabases.publicAddress();
	await ctx.stores.projects.moveCreatedTo({ publicHost: host, directPort, pooledPort, sslMode });
}
