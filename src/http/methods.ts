/** Whether metrics and traces may name the method; callers may make up any other, each with a series of its own. */
export function isKnownMethod(method: string): boolean {
	return known.has(method);
}

const known = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
