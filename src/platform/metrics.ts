import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

type Labels<Name extends string> = Record<Name, string>;

/** What is measured, for Prometheus. Label values come from closed lists: never ids, addresses or texts. */
export type Metrics = {
	/** Returns what counts up, by one unless said otherwise. */
	counter<Name extends string>(
		name: string,
		help: string,
		labels: readonly Name[],
	): (labels: Labels<Name>, by?: number) => void;
	/** Returns what takes a duration. */
	histogram<Name extends string>(
		name: string,
		help: string,
		labels: readonly Name[],
	): (labels: Labels<Name>, seconds: number) => void;
	/** `read` is asked at each scrape; what it leaves out is not shown. */
	gauge<Name extends string>(
		name: string,
		help: string,
		labels: readonly Name[],
		read: () => readonly { labels: Labels<Name>; value: number }[],
	): void;
	/** In Prometheus' text format. */
	render(): Promise<{ contentType: string; text: string }>;
};

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** The prom-client adapter. `ofProcess` adds what Node and the system say of the process. */
export function createMetrics({ ofProcess }: { ofProcess: boolean }): Metrics {
	const register = new Registry();
	if (ofProcess) collectDefaultMetrics({ register });
	return {
		counter: (name, help, labelNames) => {
			const counter = new Counter({ name, help, labelNames, registers: [register] });
			return (labels, by = 1) => counter.inc(labels, by);
		},
		histogram: (name, help, labelNames) => {
			const histogram = new Histogram({
				name,
				help,
				labelNames,
				buckets: secondsBuckets,
				registers: [register],
			});
			return (labels, seconds) => histogram.observe(labels, seconds);
		},
		gauge: (name, help, labelNames, read) => {
			const gauge = new Gauge({
				name,
				help,
				labelNames,
				registers: [register],
				collect: () => {
					gauge.reset();
					for (const { labels, value } of read()) gauge.set(labels, value);
				},
			});
		},
		render: async () => ({ contentType: register.contentType, text: await register.metrics() }),
	};
}
