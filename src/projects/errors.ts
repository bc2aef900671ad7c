import { AppError } from "../core/errors.ts";

export function projectNotReady(): AppError {
	const sentence = "The project's database is not ready; wait for its state to become `ready`.";
	return new AppError("conflict", "project.not_ready", sentence);
}

export function projectDeleting(): AppError {
	return new AppError("conflict", "project.deleting", "The project is being deleted.");
}

export function projectLimitReached(limit: number): AppError {
	const sentence = `The organization has ${limit} projects, the most it may have; delete one first.`;
	return new AppError("conflict", "project.limit_reached", sentence);
}

export function slugTaken(): AppError {
	return new AppError("conflict", "slug.taken", "`slug` is taken by another project of the organization.");
}

export function clusterUnavailable(cause: Error): AppError {
	const sentence =
		"The cluster of the projects' databases cannot be asked for its version just now; try again shortly, or leave out `postgres_version`.";
	return new AppError("unavailable", "cluster.unavailable", sentence, { cause, retryAfterSeconds: 5 });
}
