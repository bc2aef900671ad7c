import type { TestServer } from "./server.ts";

/**
 * Lets the trigger function do nothing any more. The trigger itself stays: dropping one locks the table and
 * then each of its partitions, in an order in which the server's transactions may wait for it, and it for them.
 */
export async function quietTrigger(server: TestServer, functionName: string): Promise<void> {
	await server.sql(`create or replace function ${functionName}() returns trigger language plpgsql as
		'begin return new; end'`);
}
