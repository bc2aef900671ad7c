/** Why a project's database did not do what we asked: coarse, so that it is no port scanner. */
export type ProjectDatabaseReason =
	| "could_not_connect"
	| "authentication_failed"
	| "missing_privilege"
	| "blocked_address"
	| "failed";

export class ProjectDatabaseError extends Error {
	readonly reason: ProjectDatabaseReason;

	constructor(reason: ProjectDatabaseReason, sentence: string, cause?: unknown) {
		super(sentence, cause === undefined ? undefined : { cause });
		this.name = "ProjectDatabaseError";
		this.reason = reason;
	}
}
