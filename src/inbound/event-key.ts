import { createHash } from "node:crypto";

const lengthMax = 255;

/** A dedup key of any length as one that fits into the index. */
export function shortened(providerEventId: string): string {
	if (providerEventId.length <= lengthMax) return providerEventId;
	return `sha256:${createHash("sha256").update(providerEventId).digest("hex")}`;
}
