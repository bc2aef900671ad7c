import { afterEach } from "vitest";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createSender, type SendRequest } from "../../src/platform/sender.ts";
import { type Receiver, startReceiver } from "./receiver.ts";

const toClose: { close(): Promise<void> }[] = [];

afterEach(async () => {
	for (const open of toClose.splice(0).reverse()) await open.close();
});

/** Allows this machine, so that a receiver of a test can be reached. */
export const loopback = createAddressGuard({ allow: ["127.0.0.0/8"] });

/** A sender that is closed after the test. */
export function sender(options: Partial<Parameters<typeof createSender>[0]> = {}) {
	const made = createSender({ guard: loopback, deadlineMs: 5000, connectionsPerOriginMax: 4, ...options });
	closeAfterTest(made);
	return made;
}

/** A receiver that is closed after the test. */
export async function receiving(options?: Parameters<typeof startReceiver>[0]): Promise<Receiver> {
	const receiver = await startReceiver(options);
	closeAfterTest(receiver);
	return receiver;
}

export function post(url: string, rest: Partial<SendRequest> = {}): SendRequest {
	return { url, headers: { "Content-Type": "application/json" }, body: Buffer.from("{}"), ...rest };
}

export async function failureTo(url: string): Promise<string> {
	const outcome = await sender().send(post(url));
	return outcome.kind === "failed" ? outcome.errorCode : `answered ${outcome.status}`;
}

export function closeAfterTest(open: { close(): Promise<void> }): void {
	toClose.push(open);
}
