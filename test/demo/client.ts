// Answers are looked into by steps of many shapes.
// biome-ignore lint/suspicious/noExplicitAny: the body is whatever the route answers
export type Body = any;

/** Calls the server with one API key. Throws a sentence unless the answer has the expected status. */
export type Client = (
	method: string,
	path: string,
	options?: { body?: unknown; expect?: number },
) => Promise<Body>;

export function createClient(url: string, key: string): Client {
	return async (method, path, { body, expect = 200 } = {}) => {
		const response = await fetch(`${url}${path}`, {
			method,
			headers: {
				authorization: `Bearer ${key}`,
				...(body === undefined ? {} : { "content-type": "application/json" }),
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const text = await response.text();
		if (response.status === expect) return JSON.parse(text);
		throw new Error(`${method} ${path} answered ${response.status} and not ${expect}: ${text}`);
	};
}
