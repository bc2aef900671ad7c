import { afterEach, expect, inject } from "vitest";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import {
	createProjectDatabases,
	type ProjectDatabases,
	type ProjectDatabaseTarget,
} from "../../src/platform/project-db.ts";
import { ProjectDatabaseError } from "../../src/platform/project-db-errors.ts";
import { silentLog } from "../support/silent-log.ts";

/** Run after each test, last first. */
export const toClose: (() => Promise<unknown>)[] = [];

afterEach(async () => {
	for (const close of toClose.splice(0).reverse()) await close();
});

export function databases(
	allow: string[] = ["127.0.0.0/8"],
	resolver?: () => Promise<{ address: string; family: 4 }[]>,
) {
	const made = createProjectDatabases({
		clusterUrl: inject("clusterUrl"),
		publicHost: null,
		directPort: null,
		pooledHost: null,
		pooledPort: null,
		guard: createAddressGuard({ allow, ...(resolver ? { resolver } : {}) }),
		log: silentLog,
	});
	toClose.push(() => made.close());
	return made;
}

export function ownTarget(changes: Partial<ProjectDatabaseTarget> = {}): ProjectDatabaseTarget {
	const url = new URL(inject("clusterUrl"));
	return {
		host: url.hostname,
		port: Number(url.port),
		user: decodeURIComponent(url.username),
		password: decodeURIComponent(url.password),
		database: url.pathname.slice(1),
		sslMode: "prefer",
		options: null,
		isTenantNamed: true,
		...changes,
	};
}

export async function reasonOf(work: Promise<unknown>): Promise<string> {
	const error = await work.then(
		() => null,
		(thrown: unknown) => thrown,
	);
	expect(error).toBeInstanceOf(ProjectDatabaseError);
	return (error as ProjectDatabaseError).reason;
}

export function ask(on: ProjectDatabases, target: ProjectDatabaseTarget) {
	return on.use(target, (client) => client.query("select 1 as one"));
}
