import type { Context } from "../context.ts";

/** What a customer connects with. */
export type Connections = { username: string; pooledUrl: string; directUrl: string };

/** The URLs of a database on the project cluster and of the role of the same name, at the address of now. */
export function clusterConnections(
	projectDatabases: Pick<Context["projectDatabases"], "publicAddress">,
	{ name, password }: { name: string; password: string },
): Connections {
	const { host, directPort, pooledHost, pooledPort, sslMode } = projectDatabases.publicAddress();
	const url = (atHost: string, port: number) => {
		const bracketed = atHost.includes(":") ? `[${atHost}]` : atHost;
		// libpq takes `prefer` when nothing is said; other drivers read it as more than it is.
		const query = sslMode === "prefer" ? "" : `?sslmode=${sslMode}`;
		return `postgresql://${name}:${password}@${bracketed}:${port}/${name}${query}`;
	};
	const directUrl = url(host, directPort);
	const hasPooler = pooledHost !== null && pooledPort !== null;
	return { username: name, pooledUrl: hasPooler ? url(pooledHost, pooledPort) : directUrl, directUrl };
}
