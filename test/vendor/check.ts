import { ProviderError } from "../../src/providers/errors.ts";
import { readVendorDocument, type VendorDocument } from "./document.ts";
import { type Exchange, startRecorder } from "./recorder.ts";

/** A vendor whose official document our client and our fake are held to. */
export type Vendor = {
	name: string;
	/** Below the folder of vendors' documents. */
	document: string;
	/** Before every path, where the document does not say so itself. */
	basePath?: string;
	/** Operations that the document does not have, and why they are made; each as "POST /v2/things/{id}". */
	undocumented: Record<string, string>;
	/** Parameters that the document does not have, and why they are sent; each as "GET /v2/things?limit". */
	undocumentedParameters?: Record<string, string>;
	/** Whether a null in an answer is judged as if it were left out: Swagger 2 has no word for it. */
	nullIsAbsent?: boolean;
	/** Statuses that the vendor gives for any call without listing them. */
	commonStatuses: readonly number[];
	/** Makes every call that our client knows, by way of `record(origin)`, which gives the origin to use instead. */
	exercise(record: (origin: string) => Promise<string>): Promise<void>;
};

export type VendorReport = { exchanges: number; operations: string[]; faults: string[] };

/** Runs a vendor's exercise and judges every exchange by the document. */
export async function checkVendor(vendor: Vendor, source: Record<string, unknown>): Promise<VendorReport> {
	const document = readVendorDocument(
		source,
		vendor.basePath === undefined ? {} : { basePath: vendor.basePath },
	);
	const exchanges = await recordExercise(vendor);
	const operations = new Set<string>();
	const faults = new Set<string>();
	const unlisted = new Set<string>();
	for (const exchange of exchanges) {
		const operation = document.operationOf(exchange);
		const exception = operation === null ? undocumentedOf(vendor, exchange) : null;
		operations.add(operation ?? exception ?? `${exchange.method} ${exchange.path}`);
		if (exception !== null) {
			unlisted.add(exception);
			continue;
		}
		for (const parameter of undocumentedParametersOf(vendor, operation, exchange)) unlisted.add(parameter);
		for (const fault of faultsOf(vendor, document, operation, exchange)) faults.add(fault);
	}
	if (exchanges.length === 0) faults.add("the exercise made no call");
	const listed = { ...vendor.undocumented, ...vendor.undocumentedParameters };
	for (const exception of Object.keys(listed)) {
		if (!unlisted.has(exception))
			faults.add(`${exception}: is listed as undocumented, and was not called so`);
	}
	return { exchanges: exchanges.length, operations: [...operations].toSorted(), faults: [...faults] };
}

function faultsOf(
	vendor: Vendor,
	document: VendorDocument,
	operation: string | null,
	exchange: Exchange,
): string[] {
	const isCommon = vendor.commonStatuses.includes(exchange.status);
	return document
		.faultsOf(asDocumented(vendor, operation, exchange))
		.filter((fault) => !isCommon || fault !== unknownStatus(exchange))
		.map((fault) => `${operation ?? `${exchange.method} ${exchange.path}`}: ${fault}`);
}

async function recordExercise(vendor: Vendor): Promise<Exchange[]> {
	const recorders: Awaited<ReturnType<typeof startRecorder>>[] = [];
	try {
		await vendor.exercise(async (origin) => {
			const recorder = await startRecorder(origin);
			recorders.push(recorder);
			return recorder.origin;
		});
		return recorders.flatMap(({ exchanges }) => exchanges);
	} finally {
		await Promise.all(recorders.map((recorder) => recorder.close()));
	}
}

function undocumentedOf({ undocumented }: Vendor, { method, path }: Exchange): string | null {
	const found = Object.keys(undocumented).find((operation) => {
		const pattern = operation.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{[^}]+\}/g, "[^/]+");
		return new RegExp(`^${pattern}$`).test(`${method} ${path}`);
	});
	return found ?? null;
}

function undocumentedParametersOf(
	{ undocumentedParameters = {} }: Vendor,
	operation: string | null,
	{ query }: Exchange,
): string[] {
	return [...query.keys()]
		.map((name) => `${operation}?${name}`)
		.filter((each) => each in undocumentedParameters);
}

/** The exchange without what the document is known to leave out. */
function asDocumented(vendor: Vendor, operation: string | null, exchange: Exchange): Exchange {
	const query = new URLSearchParams(exchange.query);
	for (const parameter of undocumentedParametersOf(vendor, operation, exchange))
		query.delete(parameter.slice(parameter.indexOf("?") + 1));
	const answerBody = vendor.nullIsAbsent === true ? withoutNulls(exchange.answerBody) : exchange.answerBody;
	return { ...exchange, query, answerBody };
}

function withoutNulls(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(withoutNulls);
	if (typeof value !== "object" || value === null) return value;
	const entries = Object.entries(value).filter(([, each]) => each !== null);
	return Object.fromEntries(entries.map(([key, each]) => [key, withoutNulls(each)]));
}

/** An exercise makes the call for its exchange, and it has to be refused. */
export async function refused(call: Promise<unknown>): Promise<void> {
	try {
		await call;
	} catch (error) {
		if (error instanceof ProviderError) return;
		throw error;
	}
	throw new Error("A call that had to be refused was not.");
}

function unknownStatus({ status }: Exchange): string {
	return `the status ${status} is not in the document`;
}
