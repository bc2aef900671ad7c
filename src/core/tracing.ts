import { AppError } from "./errors.ts";

/** What the house traces with. The OpenTelemetry adapter is `platform/open-telemetry.ts`; features see only this. */
export type Tracing = {
	/** False: nothing is traced, and nobody need describe what they do. */
	isOn: boolean;
	start(span: SpanStart): Span;
	/** What continues the trace that is under way here, elsewhere. */
	headers(): TraceHeaders;
	/** Sends what is left, for a few seconds at most. */
	close(): Promise<void>;
};

/** `traceparent` and `tracestate` of W3C Trace Context; empty where there is no trace. */
export type TraceHeaders = Record<string, string>;

/** Identifiers, counts and words from closed lists: never secrets, paths, queries, payloads or addresses of people. */
export type Attributes = Record<string, string | number | boolean>;

export type SpanStart = {
	/** Of few different ones. */
	name: string;
	kind: "server" | "client" | "producer" | "consumer" | "internal";
	attributes: Attributes;
	/** Headers of who asked for it, or `none` for a trace of its own; absent: what is under way here. */
	parent?: TraceHeaders | "none";
};

export type Span = {
	set(attributes: Attributes): void;
	/** `errorType` is a word from a closed list. */
	fail(errorType: string): void;
	headers(): TraceHeaders;
	/** Runs `work` as a part of the span. */
	within<Result>(work: () => Result): Result;
	end(): void;
};

const noSpan: Span = {
	set: () => undefined,
	fail: () => undefined,
	headers: () => ({}),
	within: (work) => work(),
	end: () => undefined,
};

export const noTracing: Tracing = {
	isOn: false,
	start: () => noSpan,
	headers: () => ({}),
	close: async () => undefined,
};

/** Does `work` in a span that ends with it, and fails when it throws. */
export async function traced<Result>(
	tracing: Tracing,
	describe: () => SpanStart,
	work: (span: Span) => Promise<Result>,
): Promise<Result> {
	if (!tracing.isOn) return work(noSpan);
	const span = tracing.start(describe());
	try {
		return await span.within(() => work(span));
	} catch (error) {
		if (error instanceof AppError) span.fail(error.code);
		else span.fail(error instanceof Error ? error.name : "unknown");
		throw error;
	} finally {
		span.end();
	}
}
