/**
 * Asks again and again until the answer is truthy, and returns it. Throws when the time is over, with `what` was
 * waited for.
 */
export async function until<Answer>(
	ask: () => Promise<Answer> | Answer,
	{
		timeoutMs = 120_000,
		everyMs = 20,
		what = ask.toString(),
	}: { timeoutMs?: number; everyMs?: number; what?: string } = {},
): Promise<NonNullable<Exclude<Answer, false>>> {
	const deadline = Date.now() + timeoutMs;
	for (;;) {
		const answer = await ask();
		if (answer) return answer as NonNullable<Exclude<Answer, false>>;
		if (Date.now() > deadline) throw new Error(`Still waiting after ${timeoutMs} ms for: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, everyMs));
	}
}
