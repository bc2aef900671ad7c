/** Closes a switch over a union: the compiler refuses it while a member has no case. */
export function exhaustive(value: never): never {
	throw new Error(`Unhandled case: ${JSON.stringify(value)}`);
}
