import type { EndpointId, OrganizationId, ProjectId } from "../core/ids.ts";

export type WebhookEndpoint = {
	id: EndpointId;
	organizationId: OrganizationId;
	/** Set: only events of that project. */
	projectId: ProjectId | null;
	url: string;
	name: string | null;
	description: string | null;
	/** As the caller sent them; empty means all. */
	eventTypes: string[];
	headers: Record<string, string>;
	/** Sealed; null when there are none. */
	secretHeaders: string | null;
	secretHeaderNames: string[];
	isActive: boolean;
	disabledReason: string | null;
	createdAt: Date;
	updatedAt: Date;
};

/** What a caller may set. Absent fields are absent. */
export type EndpointInput = {
	url?: string;
	name?: string | null;
	description?: string | null;
	eventTypes?: string[];
	headers?: Record<string, string>;
	secretHeaders?: Record<string, string>;
	projectId?: string | null;
	isActive?: boolean;
};

export type EndpointHealth = {
	lastSuccessAt: Date | null;
	lastFailureAt: Date | null;
	consecutiveFailures: number;
};

export type HealthWord = "healthy" | "degraded" | "failing" | "disabled";

const failingAfter = 5;
const degradedForMs = 24 * 3600 * 1000;

/**
 * `disabled` whenever inactive; `failing` when the last five attempts all failed; `degraded` with a failure in the
 * last 24 hours; else `healthy`, also when nothing was sent.
 */
export function healthWord(endpoint: WebhookEndpoint, health: EndpointHealth, now: Date): HealthWord {
	if (!endpoint.isActive) return "disabled";
	if (health.consecutiveFailures >= failingAfter) return "failing";
	const failedAgoMs =
		health.lastFailureAt === null ? Number.POSITIVE_INFINITY : now.getTime() - health.lastFailureAt.getTime();
	return failedAgoMs <= degradedForMs ? "degraded" : "healthy";
}
