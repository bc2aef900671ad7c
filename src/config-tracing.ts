export const samplers = [
	"always_on",
	"always_off",
	"traceidratio",
	"parentbased_always_on",
	"parentbased_always_off",
	"parentbased_traceidratio",
] as const;

/** OpenTelemetry's standard variables, as far as they are not the exporter's own. */
type Values = {
	OTEL_SDK_DISABLED: boolean;
	OTEL_TRACES_EXPORTER: "otlp" | "none" | null;
	OTEL_EXPORTER_OTLP_ENDPOINT: string | null;
	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: string | null;
	OTEL_EXPORTER_OTLP_PROTOCOL: string | null;
	OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: string | null;
	OTEL_SERVICE_NAME: string;
	OTEL_TRACES_SAMPLER: (typeof samplers)[number];
	OTEL_TRACES_SAMPLER_ARG: number;
	OTEL_BSP_SCHEDULE_DELAY: number;
	OTEL_BSP_MAX_QUEUE_SIZE: number;
};

const localCollector = "http://localhost:4318";

export function tracing(values: Values) {
	return {
		/** Where spans are posted; null: nothing is traced. */
		url: tracesUrl(values),
		serviceName: values.OTEL_SERVICE_NAME,
		sampler: values.OTEL_TRACES_SAMPLER,
		samplerRatio: values.OTEL_TRACES_SAMPLER_ARG,
		exportEveryMs: values.OTEL_BSP_SCHEDULE_DELAY,
		queueMax: values.OTEL_BSP_MAX_QUEUE_SIZE,
	};
}

/**
 * The exporter speaks one protocol. Platforms set these variables for all that they run, so another one is a fault
 * only while something is traced.
 */
export function tracingFaults(values: Values): string[] {
	const ofTraces = values.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL;
	const protocol = ofTraces ?? values.OTEL_EXPORTER_OTLP_PROTOCOL ?? "http/protobuf";
	if (tracesUrl(values) === null || protocol === "http/protobuf") return [];
	const name = ofTraces === null ? "OTEL_EXPORTER_OTLP_PROTOCOL" : "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
	return [`${name} must be http/protobuf, or unset, while traces are exported.`];
}

/** Tracing is on when an endpoint or the exporter is named. A base gets the signal's path; its own URL is whole. */
function tracesUrl(values: Values): string | null {
	const exporter = values.OTEL_TRACES_EXPORTER;
	if (values.OTEL_SDK_DISABLED || exporter === "none") return null;
	const base = values.OTEL_EXPORTER_OTLP_ENDPOINT ?? (exporter === "otlp" ? localCollector : null);
	return values.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === null ? null : `${base}/v1/traces`);
}

/** Throws what the variable's name is to be followed by. */
export function ratio(text: string): number {
	const value = /^\d(\.\d{1,10})?$/.test(text) ? Number(text) : Number.NaN;
	if (!(value <= 1)) throw new Error("must be a ratio from 0 to 1, such as 0.1");
	return value;
}
