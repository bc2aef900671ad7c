import type { Context } from "./context.ts";
import type {
	ApiKeyId,
	DeliveryId,
	EndpointId,
	EventId,
	InboundId,
	JobId,
	OrganizationId,
	PreviewId,
	ProjectId,
} from "./core/ids.ts";
import type { Locator, Owner } from "./http/access.ts";

/** Whose each thing is that a path can name. Things without a row of their own belong to nobody: 404. */
export function createLocators({
	stores,
	providers,
}: Pick<Context, "stores" | "providers">): Record<string, Locator> {
	return {
		orgID: {
			prefix: "org",
			noun: "organization",
			find: async (id) => {
				const organization = await stores.organizations.find(id as OrganizationId);
				return organization && { organizationId: organization.id, projectId: null };
			},
		},
		projectID: {
			prefix: "prj",
			noun: "project",
			find: async (id) => {
				const project = await stores.projects.find(id as ProjectId);
				return project && { organizationId: project.organizationId, projectId: project.id };
			},
		},
		previewID: {
			prefix: "pvw",
			noun: "preview database",
			find: async (id) => ownerOf(await stores.previews.find(id as PreviewId)),
		},
		keyID: {
			prefix: "key",
			noun: "API key",
			find: async (id) => ownerOf(await stores.apiKeys.find(id as ApiKeyId)),
		},
		jobID: {
			prefix: "job",
			noun: "job",
			find: async (id) => ownerOf(await stores.jobs.find(id as JobId)),
		},
		endpointID: {
			prefix: "whe",
			noun: "webhook endpoint",
			find: async (id) => ownerOf(await stores.endpoints.find(id as EndpointId)),
		},
		deliveryID: {
			prefix: "whd",
			noun: "delivery",
			find: async (id, params) => {
				const delivery = await stores.deliveries.find(params.orgID as OrganizationId, id as DeliveryId);
				const isBelow = delivery !== null && delivery.endpointId === params.endpointID;
				return isBelow ? { organizationId: delivery.organizationId, projectId: null } : null;
			},
		},
		eventID: {
			prefix: "evt",
			noun: "event",
			find: async (id, params) => {
				const event = await stores.events.find(params.orgID as OrganizationId, id as EventId);
				return event && { organizationId: event.organizationId, projectId: null };
			},
		},
		inboundEventID: {
			prefix: "inb",
			noun: "event",
			find: async (id, params) => {
				const provider = providers.find(params.provider ?? "");
				if (!provider) return null;
				const projectId = params.projectID as ProjectId;
				const integration = await stores.integrations.findByProvider(projectId, provider.id);
				return integration && ownerOf(await stores.inbound.find(integration.id, id as InboundId));
			},
		},
	};
}

function ownerOf(row: Owner | null): Owner | null {
	return row && { organizationId: row.organizationId, projectId: row.projectId };
}
