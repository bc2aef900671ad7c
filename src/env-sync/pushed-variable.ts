import type { OwnedVariable, PlatformTarget } from "../providers/deployment-provider.ts";

/** What we keep of a variable at a platform. */
export type PushedVariable = OwnedVariable & {
	target: PlatformTarget;
	/** A write was begun whose outcome is not known; `id` may be empty then. */
	isBeingWritten: boolean;
};
