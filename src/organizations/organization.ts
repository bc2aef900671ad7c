import type { OrganizationId } from "../core/ids.ts";

export type Organization = {
	id: OrganizationId;
	name: string;
	slug: string;
	clerkOrganizationId: string | null;
	createdAt: Date;
	updatedAt: Date;
};

/** What an organization used in the present month (UTC). */
export type Usage = {
	projects: number;
	previewDatabases: number;
	webhookEndpoints: number;
	events: number;
	deliveries: number;
};
