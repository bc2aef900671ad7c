import { AppError } from "../core/errors.ts";
import { sqlState } from "../platform/db-errors.ts";
import type { ProjectDatabaseError } from "../platform/project-db-errors.ts";

const retryAfterSeconds = 5;

/** What it means for a request that the project's database did not answer: 503 when waiting helps, else 409. */
export function fromProjectDatabaseError(cause: ProjectDatabaseError): AppError {
	const unavailable = (sentence: string) =>
		new AppError("unavailable", "project_database.unavailable", sentence, { cause, retryAfterSeconds });
	const conflict = (code: string, sentence: string) => new AppError("conflict", code, sentence, { cause });
	if (cause.reason === "could_not_connect") return unavailable(cause.message);
	if (cause.reason !== "failed") return conflict(`project_database.${cause.reason}`, cause.message);
	const state = sqlState(cause) ?? "";
	if (state === "57014") {
		return unavailable("The project's database took too long to find the users; narrow the search.");
	}
	if (state.startsWith("42")) {
		const sentence =
			"The tables of `capydb_auth` were altered so that no users can be read; missing columns come back with the next change of a user.";
		return conflict("project_database.altered", sentence);
	}
	return unavailable(cause.message);
}

export function cursorInvalid(): AppError {
	return new AppError("invalid", "cursor.invalid", "`cursor` is not one that this list returned.");
}
