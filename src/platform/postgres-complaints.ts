/** What a tool of Postgres said went wrong, as far as it may be shown. */
export type Complaint = {
	text: string;
	isPassing: boolean;
	/** True for what a tool says because the other end of its pipe broke. */
	isEcho: boolean;
};

/** Lines of this kind say what failed; those around them repeat statements and rows. */
const errorLine = /^pg_(?:dump|restore): error: (.*)$/;

/**
 * Differences between servers that lose nothing: pg_dump 17 and later set a parameter that earlier servers do not
 * know, and comments on what belongs to the server stay the server's.
 */
const harmless = [
	/unrecognized configuration parameter "transaction_timeout"/,
	/must be owner of (schema public|extension )/,
	/could not execute query: ERROR: {2}schema "public" already exists$/,
];

const passing =
	/connection to server|could not connect|server closed the connection|terminating connection|the database system is|SSL connection has been closed|lost connection|lock timeout|deadlock detected|could not extend file|No space left|too many (clients|connections)|remaining connection slots|could not receive data|could not send data/;

const echo =
	/could not write to (output )?file|could not (read from|close) (input|output) file|input file (is too short|does not appear)|unexpected end of file|Broken pipe/;

/** Only texts that name things of the schema: others can hold values out of rows. */
const showable = [
	/permission denied (for|to) .*/,
	/must be owner of .*/,
	/must be superuser .*/,
	/extension "[^"]*" is not available/,
	/(type|function|relation|schema|role|collation|language|access method|operator) .* (does not exist|already exists)/,
	/query would be affected by row-level security policy .*/,
	/unrecognized configuration parameter .*/,
	/aborting because of server version mismatch/,
	/unsupported version .* in file header/,
	/canceling statement due to .*/,
	/password authentication failed/,
];

const hidden = "an error whose text is not shown, because it may hold data";

/** Reads one line of a tool's standard error: null when it is no error, `harmless` for one that loses nothing. */
export function readComplaint(line: string): Complaint | "harmless" | null {
	const said = errorLine.exec(line)?.[1];
	if (said === undefined) return null;
	if (harmless.some((pattern) => pattern.test(said))) return "harmless";
	if (/^connection to server|could not connect/.test(said)) {
		const isRefused = /password authentication failed|no pg_hba\.conf entry|not permitted to log in/.test(
			said,
		);
		return isRefused
			? { text: "the server refused the user name or password", isPassing: false, isEcho: false }
			: { text: "could not connect", isPassing: true, isEcho: false };
	}
	const shown = showable.map((pattern) => pattern.exec(said)?.[0]).find((text) => text !== undefined);
	if (echo.test(said)) return { text: "the other tool gave way", isPassing: true, isEcho: true };
	const isPassing = passing.test(said);
	return {
		text: shown ?? (isPassing ? "the connection or the server gave way" : hidden),
		isPassing,
		isEcho: false,
	};
}
