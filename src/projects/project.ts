import type { OrganizationId, ProjectId } from "../core/ids.ts";

export type ProjectState = "provisioning" | "ready" | "failed" | "deleting";

export type Project = {
	id: ProjectId;
	organizationId: OrganizationId;
	name: string;
	slug: string;
	state: ProjectState;
	/** `created`: a database of ours on the project cluster. `external`: bring your own Postgres. */
	origin: "created" | "external";
	region: string;
	plan: string;
	environment: "production" | "non_production";
	alwaysOn: boolean;
	postgresVersion: number | null;
	databaseName: string;
	roleName: string;
	/** Sealed JSON. */
	credentials: string;
	credentialsVersion: number;
	directPort: number | null;
	pooledPort: number | null;
	publicHost: string | null;
	sslMode: string;
	maxConnections: number | null;
	storageLimitBytes: number | null;
	lastError: string | null;
	deletedAt: Date | null;
	droppedAt: Date | null;
	createdAt: Date;
	updatedAt: Date;
};

/** What the jobs of a project lock: two of them never run at once. */
export function projectResource(id: ProjectId): string {
	return `project:${id}`;
}
