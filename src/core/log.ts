/** What the house writes logs with. The pino adapter is `platform/log.ts`; core and features see only this. */
export type Log = {
	debug(fields: Record<string, unknown>, message: string): void;
	info(fields: Record<string, unknown>, message: string): void;
	warn(fields: Record<string, unknown>, message: string): void;
	error(fields: Record<string, unknown>, message: string): void;
	child(fields: Record<string, unknown>): Log;
};
