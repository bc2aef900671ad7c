import { onTestFinished } from "vitest";
import { type ReceivedRequest, type ReplyRule, startReceiver } from "../support/receiver.ts";
import { until } from "../support/until.ts";
import { bytes, type Message, messages, number, readMessage } from "./protobuf.ts";

export type CollectedSpan = {
	name: string;
	kind: "internal" | "server" | "client" | "producer" | "consumer";
	traceId: string;
	spanId: string;
	/** Empty: the first of its trace. */
	parentId: string;
	attributes: Record<string, unknown>;
	failed: boolean;
	/** Attributes of the process. */
	resource: Record<string, unknown>;
};

export type Collector = {
	url: string;
	/** Everything that was posted, as it came. */
	requests: ReceivedRequest[];
	respondWith(rule: ReplyRule): void;
	spans(): CollectedSpan[];
	/** The same by post. */
	batches(): CollectedSpan[][];
	/** Waits for the first span that holds what is asked of it. */
	find(what: string, holds: (span: CollectedSpan) => boolean): Promise<CollectedSpan>;
	/** What a server is started with to send its spans here at once. */
	env: Record<string, string>;
};

const kinds = ["internal", "internal", "server", "client", "producer", "consumer"] as const;
const errorStatus = 2;

/** Takes spans as OTLP over HTTP in protocol buffers, and is closed after the test. */
export async function startCollector(): Promise<Collector> {
	const { url, requests, respondWith, close } = await startReceiver();
	onTestFinished(close);
	const batches = () => requests.map(spansOf);
	const spans = () => batches().flat();
	return {
		url,
		requests,
		respondWith,
		spans,
		batches,
		find: (what, holds) => until(() => spans().find(holds), { what }),
		env: { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: "5" },
	};
}

/** By opentelemetry/proto/collector/trace/v1 and trace/v1 of opentelemetry-proto 1. */
function spansOf({ method, url, headers, body }: ReceivedRequest): CollectedSpan[] {
	if (method !== "POST" || url !== "/v1/traces") throw new Error(`No such route: ${method} ${url}`);
	if (headers["content-type"] !== "application/x-protobuf") throw new Error("Not protocol buffers.");
	return messages(readMessage(body), 1).flatMap((resourceSpans) => {
		const [described] = messages(resourceSpans, 1);
		const resource = described === undefined ? {} : attributesOf(described, 1);
		const scopes = messages(resourceSpans, 2);
		return scopes.flatMap((scope) => messages(scope, 2).map((span) => ({ ...spanOf(span), resource })));
	});
}

function spanOf(span: Message): Omit<CollectedSpan, "resource"> {
	return {
		traceId: bytes(span, 1).toString("hex"),
		spanId: bytes(span, 2).toString("hex"),
		parentId: bytes(span, 4).toString("hex"),
		name: bytes(span, 5).toString(),
		kind: kinds[number(span, 6)] ?? "internal",
		attributes: attributesOf(span, 9),
		failed: messages(span, 15).some((status) => number(status, 3) === errorStatus),
	};
}

function attributesOf(message: Message, field: number): Record<string, unknown> {
	return Object.fromEntries(
		messages(message, field).map((pair) => [bytes(pair, 1).toString(), readValue(messages(pair, 2)[0])]),
	);
}

/** Texts, truths and whole numbers: the server sends no other values. */
function readValue(value: Message | undefined): unknown {
	if (value?.has(1)) return bytes(value, 1).toString();
	if (value?.has(2)) return number(value, 2) === 1;
	return value?.has(3) ? number(value, 3) : undefined;
}
