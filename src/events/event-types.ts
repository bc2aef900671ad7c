/** A published type's name: segments of letters, digits, `_` and `-`, with dots between. */
export const eventTypePattern = "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$";

/** What an endpoint may list: a type, or `*` as the last segment. */
export const eventTypeFilterPattern = "^([A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*(\\.\\*)?|\\*)$";

export const eventTypeLengthMax = 128;

/** Types that only the server emits; publishing one is a 400. */
export const serverTypes = [
	"job.completed",
	"job.failed",
	"project.ready",
	"project.deleted",
	"preview.ready",
	"preview.deleted",
	"credentials.rotated",
	"integration.connected",
	"integration.disconnected",
	"integration.error",
	"deployment.created",
	"deployment.ready",
	"deployment.failed",
	"deployment.canceled",
	"deployment.promoted",
	"user.created",
	"user.updated",
	"user.deleted",
	"endpoint.disabled",
	"delivery.exhausted",
	"webhook.test",
] as const;

/** Types that publishers agree on; they may publish any others too. */
export const publisherTypes = [
	"backup.completed",
	"import.completed",
	"restore.completed",
	"alert.triggered",
	"alert.resolved",
] as const;

/** Every type of the catalogue. */
export type CatalogueType = (typeof serverTypes)[number] | (typeof publisherTypes)[number];

/** A type as the catalogue describes it: who sends it, what its envelope looks like. */
export type EventType = {
	type: CatalogueType;
	description: string;
	publishedBy: "server" | "publisher";
	/** JSON Schema (2020-12) of the envelope. */
	schema: Record<string, unknown>;
	/** An envelope. */
	example: Record<string, unknown>;
};

/** What tells of the delivering itself: goes only to endpoints that name it, and leads to no further ones. */
export const operationalTypes: readonly string[] = ["endpoint.disabled", "delivery.exhausted"];

export function isServerType(type: string): boolean {
	return (serverTypes as readonly string[]).includes(type);
}

/** Every filter that matches the type: itself, and each `*` that stands for one or more of its last segments. */
export function filtersMatching(type: string): string[] {
	const segments = type.split(".");
	const wildcards = segments.map((_, count) => [...segments.slice(0, count), "*"].join("."));
	return [type, ...wildcards];
}
