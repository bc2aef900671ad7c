import type { ProjectDatabaseClient } from "../platform/project-db.ts";
import { cannotClone } from "./errors.ts";

/**
 * How the owner of an object is changed, by the kind that `pg_identify_object` names, in the order in which it is
 * done: what is in a schema needs one that the new owner may create in, and what belongs to a table goes with it.
 */
const kinds = [
	["schema", "SCHEMA"],
	["table", "TABLE"],
	["foreign table", "FOREIGN TABLE"],
	["view", "VIEW"],
	["materialized view", "MATERIALIZED VIEW"],
	["sequence", "SEQUENCE"],
	["type", "TYPE"],
	["function", "ROUTINE"],
	["procedure", "ROUTINE"],
	["aggregate", "ROUTINE"],
	["collation", "COLLATION"],
	["conversion", "CONVERSION"],
	["operator", "OPERATOR"],
	["operator class", "OPERATOR CLASS"],
	["operator family", "OPERATOR FAMILY"],
	["statistics object", "STATISTICS"],
	["text search configuration", "TEXT SEARCH CONFIGURATION"],
	["text search dictionary", "TEXT SEARCH DICTIONARY"],
	["publication", "PUBLICATION"],
	["large object", "LARGE OBJECT"],
] as const;

/** Postgres changes no owner of these. They are used as before, and go with the database. */
const ownerless = ["extension", "default acl"];

/** As `pg_identify_object` writes it: quoted and with its schema. */
type Owned = { kind: string; identity: string };

/**
 * Gives every object of this database that `from` owns to `to`, one by one: REASSIGN OWNED would take databases
 * along. Run as `from`, a member of `to`. May be repeated. Returns how many were given, and what nobody can give.
 */
export async function handOver(
	client: ProjectDatabaseClient,
	from: string,
	to: string,
): Promise<{ given: number; left: string[] }> {
	let given = 0;
	for (;;) {
		const owned = await listOwned(client, from);
		const movable = owned.filter(({ kind }) => !ownerless.includes(kind));
		if (movable.length === 0)
			return { given, left: owned.map(({ kind, identity }) => `${kind} ${identity}`) };
		const [kind, keyword] = firstKind(movable);
		// The list is made anew after each kind: its owner may have taken others along.
		for (const { identity } of movable.filter((object) => object.kind === kind)) {
			await client.query(`ALTER ${keyword} ${identity} OWNER TO "${to}"`);
			given += 1;
		}
	}
}

async function listOwned(client: ProjectDatabaseClient, role: string): Promise<Owned[]> {
	return client.query<Owned>(
		`select i.type as kind, i.identity
		from pg_catalog.pg_shdepend d
			join pg_catalog.pg_roles r on r.oid = d.refobjid
			join pg_catalog.pg_database b on b.oid = d.dbid
			cross join lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) i
		where d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass and d.deptype = 'o'
			and r.rolname = $1 and b.datname = pg_catalog.current_database()
		order by i.type, i.identity`,
		[role],
	);
}

function firstKind(owned: readonly Owned[]): (typeof kinds)[number] {
	const found = kinds.find(([kind]) => owned.some((object) => object.kind === kind));
	if (found) return found;
	const sentence = `The database cannot be cloned without pg_dump: it holds a ${owned[0]?.kind}.`;
	throw cannotClone(sentence);
}
