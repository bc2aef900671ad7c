import type { OwnedVariable, PlatformTarget } from "../providers/deployment-provider.ts";

/** A project or site, with its team or account. */
export type VariableTarget = PlatformTarget;

/** A variable as a push has left it. */
export type WrittenVariable = OwnedVariable;

/** What we keep of a variable at a platform. */
export type PushedVariable = WrittenVariable & {
	target: VariableTarget;
	/** A write was begun whose outcome is not known; `id` may be empty then. */
	isBeingWritten: boolean;
};

/** Whether both name one variable of one project or site. */
export function isSamePlace(one: PushedVariable, other: PushedVariable): boolean {
	return one.target.id === other.target.id && one.key === other.key && one.branch === other.branch;
}
