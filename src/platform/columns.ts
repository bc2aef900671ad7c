import { customType, timestamp } from "drizzle-orm/pg-core";
import { fromUuid, type Id, type IdPrefix, toUuid } from "../core/ids.ts";

/** A `uuid` column that code sees as a TypeID. */
export function id<P extends IdPrefix>(prefix: P, name: string) {
	return customType<{ data: Id<P>; driverData: string }>({
		dataType: () => "uuid",
		toDriver: toUuid,
		fromDriver: (uuid) => fromUuid(prefix, uuid),
	})(name);
}

/** A `timestamptz` column, a `Date` in code. */
export function moment(name: string) {
	return timestamp(name, { withTimezone: true, mode: "date", precision: 3 });
}

/** A `bytea` column. */
export const bytes = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => "bytea" });
