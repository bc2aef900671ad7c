import type { TestServer } from "../support/server.ts";

export const metricsToken = "test-metrics-token-0123456789";

export type Scrape = {
	text: string;
	/** A series' value by its name and labels as they are written; undefined when it is not shown. */
	value(series: string): number | undefined;
	/** Names of all metrics. */
	names: Set<string>;
	/** Every value of a label. */
	labels(name: string): Set<string>;
};

/** Scrapes as Prometheus does. Throws unless the answer is its text format, line by line. */
export async function scrape(server: TestServer): Promise<Scrape> {
	const { status, text, headers } = await server.call("GET", "/metrics", { key: metricsToken });
	if (status !== 200) throw new Error(`the scrape was answered ${status}`);
	if (!headers.get("content-type")?.startsWith("text/plain; version=0.0.4"))
		throw new Error("not the format");
	const values = new Map<string, number>();
	for (const line of text.split("\n")) {
		if (line === "" || line.startsWith("#")) continue;
		const [, series = "", value = ""] =
			/^([a-zA-Z_:][\w:]*(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\})?) (\S+)$/.exec(line) ?? [];
		if (series === "" || values.has(series)) throw new Error(`no series, or one twice: ${line}`);
		values.set(series, Number(value));
	}
	return {
		text,
		value: (series) => values.get(series),
		names: new Set([...values.keys()].map((series) => series.replace(/\{.*$/, ""))),
		labels: (name) =>
			new Set([...text.matchAll(new RegExp(`[{,]${name}="([^"]*)"`, "g"))].map(([, v]) => v ?? "")),
	};
}
