import { AppError } from "../core/errors.ts";

/** A lost claim: another process runs the job now, and this one must not write any more. */
export class JobClaimLost extends Error {
	constructor() {
		super("The job was taken over by another process.");
		this.name = "JobClaimLost";
	}
}

export function jobNotFailed(): AppError {
	return new AppError("conflict", "job.not_failed", "Only a failed job can be retried.");
}

export function jobAlreadyOpen(): AppError {
	return new AppError("conflict", "job.already_open", "A job of this kind is already queued or running.");
}
