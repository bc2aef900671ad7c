import { AppError } from "../core/errors.ts";

export function previewNotReady(): AppError {
	const sentence = "The preview database is not ready; wait for its state to become `ready`.";
	return new AppError("conflict", "preview.not_ready", sentence);
}

export function previewDeleting(): AppError {
	return new AppError("conflict", "preview.deleting", "The preview database is being deleted.");
}

export function previewNameTaken(): AppError {
	const sentence = "`name` is taken by another preview database of the project.";
	return new AppError("conflict", "preview.name_taken", sentence);
}

export function previewLimitReached(limit: number): AppError {
	const sentence = `The project has ${limit} preview databases, the most it may have; delete one first.`;
	return new AppError("conflict", "preview.limit_reached", sentence);
}

/** A clone that will not come about however often it is tried; `why` is a whole sentence. */
export function cannotClone(why: string): AppError {
	return new AppError("conflict", "preview.cannot_clone", why);
}
