import type { Case } from "../config-cases.ts";

export const badWebUrls = [
	"bare.host.test",
	"ftp://x",
	"https://x/?a=b",
	"https://x/#a",
	"https://me@x",
	"https://:secret@x",
];

/** Any, while nothing is traced. */
const otlpProtocol = {
	fallback: null,
	good: [
		["http/protobuf", null],
		["grpc", null],
	] as [string, unknown][],
	bad: [],
};

/** OpenTelemetry's standard variables. */
export const tracingCases: Record<string, Case> = {
	OTEL_SDK_DISABLED: {
		read: (config) => config.tracing.url,
		fallback: null,
		good: [["true", null]],
		bad: ["yes"],
	},
	OTEL_TRACES_EXPORTER: {
		read: (config) => config.tracing.url,
		fallback: null,
		good: [
			["otlp", "http://localhost:4318/v1/traces"],
			["none", null],
		],
		bad: ["zipkin", "otlp,console"],
	},
	OTEL_EXPORTER_OTLP_ENDPOINT: {
		read: (config) => config.tracing.url,
		fallback: null,
		good: [["http://collector:4318/", "http://collector:4318/v1/traces"]],
		bad: badWebUrls,
	},
	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
		read: (config) => config.tracing.url,
		fallback: null,
		good: [["http://collector:4318/otlp", "http://collector:4318/otlp"]],
		bad: badWebUrls,
	},
	OTEL_EXPORTER_OTLP_PROTOCOL: { read: (config) => config.tracing.url, ...otlpProtocol },
	OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: { read: (config) => config.tracing.url, ...otlpProtocol },
	OTEL_SERVICE_NAME: {
		read: (config) => config.tracing.serviceName,
		fallback: "capydb-integrations",
		good: [["hooks", "hooks"]],
		bad: [],
	},
	OTEL_TRACES_SAMPLER: {
		read: (config) => config.tracing.sampler,
		fallback: "parentbased_always_on",
		good: [["traceidratio", "traceidratio"]],
		bad: ["sometimes"],
	},
	OTEL_TRACES_SAMPLER_ARG: {
		read: (config) => config.tracing.samplerRatio,
		fallback: 1,
		good: [
			["0.25", 0.25],
			["0", 0],
		],
		bad: ["1.5", "2", "-1", "half", "1e-1"],
	},
	OTEL_BSP_SCHEDULE_DELAY: {
		read: (config) => config.tracing.exportEveryMs,
		fallback: 5_000,
		good: [["10", 10]],
		bad: ["0", "5s"],
	},
	OTEL_BSP_MAX_QUEUE_SIZE: {
		read: (config) => config.tracing.queueMax,
		fallback: 2_048,
		good: [["10", 10]],
		bad: ["0", "many"],
	},
};
