/**
 * A stand-in for Citus on plain Postgres: it distributes nothing, and refuses the tables that Citus refuses
 * (docs.citusdata.com, "Creating and Modifying Distributed Objects" and "SQL Support and Workarounds"). What it took
 * stands in `pg_dist_partition`, as there.
 */
export const citusRules = `
create table pg_dist_partition (logicalrelid regclass primary key, partkey text not null, colocationid int not null);

create function create_distributed_table(table_name regclass, distribution_column text,
	distribution_type text default 'hash', colocate_with text default 'default') returns void
language plpgsql as $$
declare
	key_number int2;
	colocation int;
	refused text;
begin
	select attnum into key_number from pg_attribute
		where attrelid = table_name and attname = distribution_column and attnum > 0 and not attisdropped;
	if key_number is null then
		raise 'column "%" of relation "%" does not exist', distribution_column, table_name;
	end if;
	if (select not attnotnull from pg_attribute where attrelid = table_name and attnum = key_number) then
		raise 'column "%" of relation "%" may be null: such rows cannot be stored', distribution_column, table_name;
	end if;
	if exists (select from pg_dist_partition where logicalrelid = table_name) then
		raise 'table "%" is already distributed', table_name;
	end if;
	if exists (select from pg_class where oid = table_name and relispartition) then
		raise 'cannot distribute relation "%" which is partition of another', table_name;
	end if;
	if exists (select from pg_partition_tree(table_name) where level > 1) then
		raise 'distributing multi-level partitioned tables is not supported';
	end if;

	if colocate_with in ('none', 'default') then
		select coalesce(max(colocationid), 0) + 1 into colocation from pg_dist_partition;
	else
		select d.colocationid into colocation from pg_dist_partition d
			join pg_attribute a on a.attrelid = table_name and a.attnum = key_number
			join pg_attribute b on b.attrelid = d.logicalrelid and b.attname = d.partkey and b.atttypid = a.atttypid
			where d.logicalrelid = colocate_with::regclass;
		if colocation is null then
			raise 'cannot colocate tables % and %', colocate_with, table_name;
		end if;
	end if;

	-- Of the table itself and of each partition: primary keys, unique constraints and unique indexes, exclusions.
	select i.indexrelid::regclass into refused from pg_index i
		join pg_attribute a on a.attrelid = i.indrelid and a.attname = distribution_column
		where (i.indrelid = table_name or i.indrelid in (select relid from pg_partition_tree(table_name)))
			and (i.indisunique or i.indisexclusion) and a.attnum <> all ((i.indkey::int2[])[0:i.indnkeyatts - 1])
		limit 1;
	if refused is not null then
		raise 'cannot create constraint on "%": distributed relations cannot have unique, exclude, or primary key'
			' constraints that do not include the partition column (%)', table_name, refused;
	end if;

	select c.conname into refused from pg_constraint c
		where c.contype = 'f' and c.conrelid = table_name and not exists (
			select from pg_dist_partition d
			join unnest(c.conkey, c.confkey) as k(own, other) on k.own = key_number
			join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.other and a.attname = d.partkey
			where d.logicalrelid = c.confrelid and d.colocationid = colocation)
		limit 1;
	if refused is not null then
		raise 'cannot create foreign key constraint %: the tables are not colocated by its columns', refused;
	end if;
	select c.conname into refused from pg_constraint c
		where c.contype = 'f' and c.confrelid = table_name and c.conrelid <> table_name
			and c.conrelid not in (select logicalrelid from pg_dist_partition) limit 1;
	if refused is not null then
		raise 'cannot distribute "%": foreign key % of a local table refers to it', table_name, refused;
	end if;
	if exists (select from pg_trigger where tgrelid = table_name and not tgisinternal) then
		raise 'cannot distribute relation "%" because it has triggers', table_name;
	end if;
	if exists (select from pg_rewrite where ev_class = table_name) then
		raise 'cannot distribute relation "%" because it has rules', table_name;
	end if;

	insert into pg_dist_partition values (table_name, distribution_column, colocation);
end $$;
`;
