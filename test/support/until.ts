/** Asks again and again until the answer is truthy, and returns it. Throws when the time is over. */
export async function until<Answer>(
	ask: () => Promise<Answer> | Answer,
	{ timeoutMs = 10_000, everyMs = 20 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<NonNullable<Exclude<Answer, false>>> {
	const deadline = Date.now() + timeoutMs;
	for (;;) {
		const answer = await ask();
		if (answer) return answer as NonNullable<Exclude<Answer, false>>;
		if (Date.now() > deadline) throw new Error(`Still waiting after ${timeoutMs} ms for: ${ask.toString()}`);
		await new Promise((resolve) => setTimeout(resolve, everyMs));
	}
}
