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
const digitOf = new Map([...alphabet].map((character, digit) => [character, BigInt(digit)]));
const suffixPattern = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** A new id; ids made by one process sort in the order they were made. */
export function newId<P extends IdPrefix>(prefix: P): Id<P> {
	return fromUuid(prefix, uuidV7());
}

/** An id for one request, to be named in an answer and found in the log. */
export function newRequestId(): string {
	return `req_${uuidV7().replaceAll("-", "")}`;
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
	let value = BigInt(`0x${uuid.replaceAll("-", "")}`);
	let suffix = "";
	for (let position = 0; position < 26; position++) {
		suffix = alphabet[Number(value & 31n)] + suffix;
		value >>= 5n;
	}
	return `${prefix}_${suffix}`;
}

export function toUuid(id: string): string {
	const suffix = id.slice(id.lastIndexOf("_") + 1);
	let value = 0n;
	for (const character of suffix) value = (value << 5n) | (digitOf.get(character) ?? 0n);
	return dashed(value.toString(16).padStart(32, "0"));
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

/** RFC 9562 §5.7, with the 12 bits of `rand_a` as a counter within the millisecond (§6.2, method 1). */
function uuidV7(): string {
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
