import type { Context } from "../context.ts";
import type { ClusterAdminClient } from "../platform/project-db.ts";

const lockKey = 7_266_002;

/**
 * Closes the project cluster to its tenants' roles, which could otherwise connect to every database that PUBLIC
 * may: takes CONNECT and TEMPORARY from PUBLIC on the control database, the maintenance database, `postgres` and
 * `template1`. Whoever the server itself connects as keeps both. Databases that the admin role does not own, and is
 * no superuser over, are left and logged. Run at every start; changes nothing when there is nothing to change.
 * `controlUrl` is the control database's, where that is not the one of the configuration.
 *
 * What remains open to every role of a Postgres cluster: the names of its databases and roles.
 */
export async function secureCluster(
	ctx: Pick<Context, "projectDatabases" | "log">,
	controlDatabaseUrl: string,
): Promise<void> {
	const control = new URL(controlDatabaseUrl);
	const controlDatabase = decodeURIComponent(control.pathname.slice(1));
	const controlRole = decodeURIComponent(control.username);
	await ctx.projectDatabases.asClusterAdmin(async (admin) => {
		// Replicas that start together would otherwise change one catalog row at once, which Postgres refuses.
		await admin.query("select pg_catalog.pg_advisory_lock($1)", [lockKey]);
		for (const { name, is_ours: isOurs } of await openDatabases(admin, controlDatabase)) {
			if (isOurs) await close(admin, name, controlRole);
			else
				ctx.log.warn(
					{ database: name },
					"the project cluster's admin role cannot close this database to PUBLIC",
				);
		}
	});
}

async function openDatabases(
	admin: ClusterAdminClient,
	controlDatabase: string,
): Promise<{ name: string; is_ours: boolean }[]> {
	return admin.query(
		`select d.datname as name,
			(select rolsuper from pg_catalog.pg_roles where rolname = current_user)
				or pg_catalog.pg_has_role(d.datdba, 'USAGE') as is_ours
		from pg_catalog.pg_database d
		where d.datname in ('postgres', 'template1', pg_catalog.current_database(), $1)
			and pg_catalog.has_database_privilege('public', d.oid, 'CONNECT, TEMPORARY')`,
		[controlDatabase],
	);
}

async function close(admin: ClusterAdminClient, database: string, controlRole: string): Promise<void> {
	const [row] = await admin.query<{ database: string; keeper: string | null }>(
		`select pg_catalog.quote_ident($1) as database,
			(select pg_catalog.quote_ident(rolname) from pg_catalog.pg_roles where rolname = $2) as keeper`,
		[database, controlRole],
	);
	if (!row) return;
	const keepers = row.keeper === null ? "current_user" : `current_user, ${row.keeper}`;
	await admin.query(`grant connect, temporary on database ${row.database} to ${keepers}`);
	await admin.query(`revoke connect, temporary on database ${row.database} from public`);
}
