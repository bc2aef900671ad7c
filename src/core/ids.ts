import { randomFillSync } from "node:crypto";

/**
 * TypeIDs (https://github.com/jetify-com/typeid, spec 0.3): a prefix and a UUIDv7 in Crockford base 32.
 * Code and wire speak TypeIDs, the database keeps the bare `uuid`; `platform/columns.ts` converts.
 */
export type IdPrefix =
	| "org"
	| "prj"
	| "key"
	| "int"
	| "job"
	| "pvw"
	| "dep"
	| "whe"
	| "evt"
	| "whd"
	| "att"
	| "inb"
	| "src"
	| "aud";

export type Id<P extends IdPrefix> = `${P}_${string}`;

export type OrganizationId = Id<"org">;
export type ProjectId = Id<"prj">;
export type ApiKeyId = Id<"key">;
export type IntegrationId = Id<"int">;
export type JobId = Id<"job">;
export type PreviewId = Id<"pvw">;
export type DeploymentId = Id<"dep">;
export type EndpointId = Id<"whe">;
export type SecretId = Id<"src">;
export type EventId = Id<"evt">;
export type DeliveryId = Id<"whd">;
export type AttemptId = Id<"att">;
export type InboundId = Id<"inb">;
export type AuditEventId = Id<"aud">;

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
// By tables, for ids are converted several times for each row of the hot paths.
const pairs = Array.from({ length: 1024 }, (_, bits) => `${alphabet[bits >> 5]}${alphabet[bits & 31]}`);
const digits = new Uint8Array(128);
for (const [digit, character] of [...alphabet].entries()) digits[character.charCodeAt(0)] = digit;
const hexOf12 = Array.from({ length: 4096 }, (_, bits) => bits.toString(16).padStart(3, "0"));
const suffixPattern = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** A new id; ids made by one process sort in the order they were made. */
export function newId<P extends IdPrefix>(prefix: P): Id<P> {
	return fromUuid(prefix, newUuid());
}

/** An id for one request, to be named in an answer and found in the log. */
export function newRequestId(): string {
	return `req_${newUuid().replaceAll("-", "")}`;
}

/** True for a well-formed id of that prefix; says nothing of whether such a thing exists. */
export function isId<P extends IdPrefix>(prefix: P, text: string): text is Id<P> {
	return (
		text.length === prefix.length + 27 &&
		text.startsWith(`${prefix}_`) &&
		suffixPattern.test(text.slice(prefix.length + 1))
	);
}

export function fromUuid<P extends IdPrefix>(prefix: P, uuid: string): Id<P> {
	const hex = uuid.replaceAll("-", "");
	// 8 bits, and six times 20.
	let suffix = pairs[Number.parseInt(hex.slice(0, 2), 16)] ?? "";
	for (let at = 2; at < 32; at += 5) {
		const bits = Number.parseInt(hex.slice(at, at + 5), 16);
		suffix += `${pairs[bits >> 10]}${pairs[bits & 1023]}`;
	}
	return `${prefix}_${suffix}`;
}

export function toUuid(id: string): string {
	const start = id.lastIndexOf("_") + 1;
	const bitsAt = (at: number) => digits[id.charCodeAt(start + at)] ?? 0;
	let hex = hexOf12[(bitsAt(0) << 5) | bitsAt(1)]?.slice(1) ?? "";
	for (let at = 2; at < 26; at += 4) {
		const bits = (bitsAt(at) << 15) | (bitsAt(at + 1) << 10) | (bitsAt(at + 2) << 5) | bitsAt(at + 3);
		hex += `${hexOf12[bits >> 12]?.slice(1)}${hexOf12[bits & 4095]}`;
	}
	return dashed(hex);
}

/** When an id was made, to the millisecond. */
export function timeOf(id: string): Date {
	return new Date(Number.parseInt(toUuid(id).replace("-", "").slice(0, 12), 16));
}

/** The smallest UUIDv7 of a moment: the bound of a time range over ids. */
export function uuidFloor(at: Date): string {
	return dashed(`${at.getTime().toString(16).padStart(12, "0")}${"0".repeat(20)}`);
}

const random = Buffer.alloc(10 * 256);
let randomUsed = random.length;
let lastMs = 0;
let sequence = 0;

/**
 * A new id as the database keeps it. RFC 9562 §5.7, with the 12 bits of `rand_a` as a counter within the millisecond
 * (§6.2, method 1).
 */
export function newUuid(): string {
	const nowMs = Date.now();
	if (nowMs > lastMs) {
		lastMs = nowMs;
		sequence = 0;
	} else if (++sequence > 0xfff) {
		lastMs += 1;
		sequence = 0;
	}
	if (randomUsed + 8 > random.length) {
		randomFillSync(random);
		randomUsed = 0;
	}
	const tail = random.subarray(randomUsed, randomUsed + 8);
	randomUsed += 8;
	tail[0] = ((tail[0] ?? 0) & 0x3f) | 0x80;
	const head = lastMs.toString(16).padStart(12, "0");
	return dashed(`${head}7${sequence.toString(16).padStart(3, "0")}${tail.toString("hex")}`);
}

function dashed(hex: string): string {
	return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
