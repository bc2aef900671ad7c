import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { auth0 } from "./auth0.ts";
import { auth0Webhooks } from "./auth0-webhooks.ts";
import { betterAuthWebhooks } from "./better-auth-webhooks.ts";
import { checkVendor, type Vendor } from "./check.ts";
import { clerk } from "./clerk.ts";
import { clerkWebhooks } from "./clerk-webhooks.ts";
import { netlify } from "./netlify.ts";
import { vercel } from "./vercel.ts";
import { checkWebhooks, type WebhookVendor } from "./webhook-site.ts";

/** Every vendor with an official document, one line each. */
const vendors: Vendor[] = [vercel, netlify, clerk, auth0];
/** Every vendor with official webhooks that a server can be sent. */
const webhookVendors: WebhookVendor[] = [clerkWebhooks, auth0Webhooks, betterAuthWebhooks];

/**
 * `npm run check:vendor`: holds our clients and our fakes to the vendors' official API documents, and sends a running
 * server the official webhooks. Those are the vendors' and not part of this project: without the folder that
 * VENDOR_DOCS names there is nothing to check.
 */
async function main(): Promise<void> {
	const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
	const folder = process.env.VENDOR_DOCS ?? join(dirname(root), "shared", "providers");
	const isThere = await stat(folder).then(
		(found) => found.isDirectory(),
		() => false,
	);
	if (!isThere) {
		console.log("No vendors' documents here (VENDOR_DOCS names their folder): nothing was checked.");
		return;
	}
	for (const vendor of vendors) await check(vendor, join(folder, vendor.document));
	const read = async (path: string) => JSON.parse(await readFile(join(folder, path), "utf8"));
	for (const { name, sent, faults } of await checkWebhooks(webhookVendors, read)) {
		console.log(`${name}: ${sent} official webhooks sent, and what became of them read`);
		report(faults);
	}
}

async function check(vendor: Vendor, path: string): Promise<void> {
	const source = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
	const { exchanges, operations, faults } = await checkVendor(vendor, source);
	console.log(
		`${vendor.name}: ${exchanges} exchanges, ${operations.length} operations, by ${vendor.document}`,
	);
	for (const [operation, why] of Object.entries({
		...vendor.undocumented,
		...vendor.undocumentedParameters,
	})) {
		console.log(`  not in the document: ${operation} (${why})`);
	}
	report(faults);
}

function report(faults: readonly string[]): void {
	for (const fault of faults) console.error(`  ${fault}`);
	if (faults.length > 0) process.exitCode = 1;
}

await main();
