import { inject, onTestFinished } from "vitest";
import { until } from "../support/until.ts";
import type { Load } from "./load.ts";
import { type PostgresProxy, startProxy } from "./proxy.ts";
import type { Site } from "./site.ts";
import { openTestSite } from "./test-site.ts";

/** Both replicas reach Postgres by way of a proxy only. */
export async function openBehindProxy(): Promise<{ site: Site; proxy: PostgresProxy }> {
	const { hostname: host, port } = new URL(inject("clusterUrl"));
	const proxy = await startProxy({ host, port: Number(port) });
	onTestFinished(() => proxy.close());
	const site = await openTestSite(proxy.wayOf);
	onTestFinished(() => site.close());
	return { site, proxy };
}

export async function takenMore(load: Load, count: number): Promise<void> {
	const before = load.publishing.taken.size;
	await until(() => load.publishing.taken.size >= before + count, { what: `${count} more events` });
}

export function readiness(site: Site): Promise<number[]> {
	const urls = site.replicas.map((replica) => replica.url() ?? "");
	return Promise.all(urls.map(async (url) => (await fetch(`${url}/readyz`)).status));
}
