/** What is sent of a user unless the application names more: nothing that it keeps beside them leaves it. */
const standardFields = [
	"id",
	"name",
	"email",
	"emailVerified",
	"image",
	"createdAt",
	"updatedAt",
	"username",
	"displayUsername",
] as const;

/** The chosen fields that the user has. */
export function chosenFields(
	user: Record<string, unknown>,
	fields: readonly string[],
): Record<string, unknown> {
	const chosen = new Set([...standardFields, ...fields]);
	return Object.fromEntries(Object.entries(user).filter(([name]) => chosen.has(name)));
}
