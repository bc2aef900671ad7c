/** A run of `pg_dump` or `pg_restore` that failed. The message is a sentence for the customer. */
export class PostgresToolError extends Error {
	readonly exitCode: number;
	/** What the tool complained of, a line each, without names of hosts and without contents of rows. */
	readonly complaints: readonly string[];
	/** Whether another try may go better. */
	readonly isPassing: boolean;

	constructor(
		tool: string,
		{ exitCode, complaints, isPassing }: { exitCode: number; complaints: string[]; isPassing: boolean },
	) {
		const [first] = complaints;
		super(`${tool} failed with exit code ${exitCode}${first === undefined ? "" : `: ${first}`}.`);
		this.name = "PostgresToolError";
		this.exitCode = exitCode;
		this.complaints = complaints;
		this.isPassing = isPassing;
	}
}
