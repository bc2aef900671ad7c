import { AsyncLocalStorage } from "node:async_hooks";
import {
	type Context,
	defaultTextMapGetter,
	defaultTextMapSetter,
	type Span as OtelSpan,
	ROOT_CONTEXT,
	SpanKind,
	SpanStatusCode,
	trace,
} from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import {
	defaultResource,
	detectResources,
	resourceAttributesEnvDetector,
	resourceFromAttributes,
} from "@opentelemetry/resources";
import {
	AlwaysOffSampler,
	AlwaysOnSampler,
	BatchSpanProcessor,
	ParentBasedSampler,
	type Sampler,
	type SpanExporter,
	TraceIdRatioBasedSampler,
	TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Log } from "../core/log.ts";
import type { Span, SpanStart, TraceHeaders, Tracing } from "../core/tracing.ts";

export type TracingOptions = {
	/** Where spans are posted to. Headers, timeout, compression and certificates are the exporter's own variables. */
	url: string;
	serviceName: string;
	sampler: SamplerName;
	/** Of the samplers with a ratio. */
	samplerRatio: number;
	exportEveryMs: number;
	/** Spans beyond these are dropped while the collector does not take them. */
	queueMax: number;
	replica: string;
	log: Log;
};

export type SamplerName =
	| "always_on"
	| "always_off"
	| "traceidratio"
	| "parentbased_always_on"
	| "parentbased_always_off"
	| "parentbased_traceidratio";

const attributeLengthMax = 256;
const closingMs = 3_000;
const warnEveryMs = 60_000;

const kinds = {
	server: SpanKind.SERVER,
	client: SpanKind.CLIENT,
	producer: SpanKind.PRODUCER,
	consumer: SpanKind.CONSUMER,
	internal: SpanKind.INTERNAL,
};

/**
 * The OpenTelemetry adapter: spans are gathered and posted as OTLP beside the work, which never waits for them. It is
 * only imported where tracing is on.
 */
export function createTracing(options: TracingOptions): Tracing {
	const provider = createProvider(options);
	const tracer = provider.getTracer(options.serviceName);
	const propagator = new W3CTraceContextPropagator();
	const underWay = new AsyncLocalStorage<Context>();
	const headersOf = (context: Context): TraceHeaders => {
		const headers: TraceHeaders = {};
		propagator.inject(context, headers, defaultTextMapSetter);
		return headers;
	};
	const here = () => underWay.getStore() ?? ROOT_CONTEXT;
	const parentOf = ({ parent }: SpanStart): Context => {
		if (parent === undefined) return here();
		return parent === "none" ? ROOT_CONTEXT : propagator.extract(ROOT_CONTEXT, parent, defaultTextMapGetter);
	};
	return {
		isOn: true,
		start: (start) => {
			const { name, kind, attributes } = start;
			const parent = parentOf(start);
			const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, parent);
			const context = trace.setSpan(parent, span);
			return {
				...settersOf(span),
				headers: () => headersOf(context),
				within: (work) => underWay.run(context, work),
			};
		},
		headers: () => headersOf(here()),
		close: async () => {
			const timeout = new Promise((resolve) => setTimeout(resolve, closingMs).unref());
			await Promise.race([provider.shutdown().catch(() => undefined), timeout]);
		},
	};
}

function settersOf(span: OtelSpan): Pick<Span, "set" | "fail" | "end"> {
	return {
		set: (attributes) => void span.setAttributes(attributes),
		fail: (errorType) => {
			span.setAttribute("error.type", errorType);
			span.setStatus({ code: SpanStatusCode.ERROR });
		},
		end: () => span.end(),
	};
}

function createProvider(options: TracingOptions): TracerProvider {
	const { url, serviceName, replica, exportEveryMs, queueMax, log } = options;
	const processor = new BatchSpanProcessor({
		exporter: warning(new OTLPTraceExporter({ url }), log),
		scheduledDelayMillis: exportEveryMs,
		maxQueueSize: queueMax,
	});
	return new TracerProvider({
		resource: defaultResource()
			.merge(detectResources({ detectors: [resourceAttributesEnvDetector] }))
			.merge(resourceFromAttributes({ "service.name": serviceName, "service.instance.id": replica })),
		sampler: createSampler(options),
		spanLimits: { attributeValueLengthLimit: attributeLengthMax },
		spanProcessors: [processor],
	});
}

/** Says that a collector takes nothing, once a minute at most. */
function warning(exporter: SpanExporter, log: Log): SpanExporter {
	let warnedAt = Number.NEGATIVE_INFINITY;
	const note = ({ code, error }: ExportResult) => {
		if (code === ExportResultCode.SUCCESS || performance.now() - warnedAt < warnEveryMs) return;
		warnedAt = performance.now();
		log.warn({ err: error }, "spans could not be sent to the collector, and are dropped");
	};
	return {
		export: (spans, done) =>
			exporter.export(spans, (result) => {
				note(result);
				done(result);
			}),
		forceFlush: async () => exporter.forceFlush?.(),
		shutdown: () => exporter.shutdown(),
	};
}

function createSampler({ sampler, samplerRatio }: Pick<TracingOptions, "sampler" | "samplerRatio">): Sampler {
	const ratio = new TraceIdRatioBasedSampler(samplerRatio);
	switch (sampler) {
		case "always_on":
			return new AlwaysOnSampler();
		case "always_off":
			return new AlwaysOffSampler();
		case "traceidratio":
			return ratio;
		case "parentbased_always_on":
			return new ParentBasedSampler({ root: new AlwaysOnSampler() });
		case "parentbased_always_off":
			return new ParentBasedSampler({ root: new AlwaysOffSampler() });
		case "parentbased_traceidratio":
			return new ParentBasedSampler({ root: ratio });
	}
}
