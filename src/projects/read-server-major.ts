import type { ProjectDatabaseClient } from "../platform/project-db.ts";

/** The major version of the server behind a connection; 0 for an answer that is none: a bring-your-own may say anything. */
export async function readServerMajor(client: ProjectDatabaseClient): Promise<number> {
	const [row] = await client.query<{ major: unknown }>(
		"select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 as major",
	);
	const major = Number(row?.major);
	return Number.isInteger(major) && major > 0 && major < 1000 ? major : 0;
}
