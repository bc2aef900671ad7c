import { readVendorDocument } from "./document.ts";
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
		for (const fault of document.faultsOf(exchange)) {
			if (fault === unknownStatus(exchange) && vendor.commonStatuses.includes(exchange.status)) continue;
			faults.add(`${operation ?? `${exchange.method} ${exchange.path}`}: ${fault}`);
		}
	}
	if (exchanges.length === 0) faults.add("the exercise made no call");
	for (const operation of Object.keys(vendor.undocumented)) {
		if (!unlisted.has(operation))
			faults.add(`${operation}: is listed as undocumented, and was not called so`);
	}
	return { exchanges: exchanges.length, operations: [...operations].toSorted(), faults: [...faults] };
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

function unknownStatus({ status }: Exchange): string {
	return `the status ${status} is not in the document`;
}
