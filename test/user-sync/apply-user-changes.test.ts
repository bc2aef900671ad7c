import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ProjectId } from "../../src/core/ids.ts";
import type { Project } from "../../src/projects/project.ts";
import { useProjectDatabase } from "../../src/projects/use-project-database.ts";
import type { UserChange } from "../../src/providers/provider.ts";
import { applyUserChanges, type RequestedChange } from "../../src/user-sync/apply-user-changes.ts";
import { ensureAuthSchema } from "../../src/user-sync/ensure-auth-schema.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const clerk = { id: "clerk", deletesAreFinal: true };
const auth0 = { id: "auth0", deletesAreFinal: false };

let server: TestServer;
let project: Project;
let lastEvent = 0;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	const { projectId } = await server.tenant();
	project = (await server.ctx.stores.projects.find(projectId as ProjectId)) as Project;
});

afterAll(() => server.close());

beforeEach(async () => {
	await sql("drop schema if exists capydb_auth cascade");
	await ensureAuthSchema(server.ctx, project);
});

const sql = (text: string) => useProjectDatabase(server.ctx, project, (client) => client.query(text));

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

/** A change at that second, with the name as its content. */
function change(
	kind: UserChange["kind"],
	second: number,
	name = `${kind} ${second}`,
	id = "user_1",
): UserChange {
	if (kind === "deleted") return { kind, userId: id, version: at(second) };
	const user = {
		id,
		email: null,
		firstName: name,
		lastName: null,
		username: null,
		imageUrl: null,
		createdAt: at(0),
		updatedAt: at(second),
		lastSignInAt: null,
		raw: { id, name },
	};
	return { kind, user, version: at(second) };
}

const othersOf = (provider: { id: string }) => ["auth0", "clerk"].filter((id) => id !== provider.id);

async function apply(changes: UserChange[], provider = auth0, readAt: Date | null = null, others?: string[]) {
	const requested = changes.map((each) => ({
		change: each,
		eventId: readAt === null ? `inb_${String(++lastEvent).padStart(6, "0")}` : null,
	}));
	const results = await applyAll(requested, { provider, others: others ?? othersOf(provider), readAt });
	return results.map((result) => (result.outcome === "changed" ? result.kind : result.outcome));
}

async function applyAll(
	changes: RequestedChange[],
	settings = { provider: auth0, others: [] as string[], readAt: null as Date | null },
) {
	const input = { project, changes, newsSince: at(0), ...settings };
	return (await applyUserChanges(server.ctx, input)).results;
}

/** What is announced: each kind with the name that is shown. */
async function announced(changes: RequestedChange[]) {
	const results = await applyAll(changes);
	return results.map((result) => "kind" in result && `${result.kind}: ${result.user.firstName}`);
}

async function row() {
	const [user] = await sql("select first_name, deleted_at is not null as is_deleted from capydb_auth.users");
	return user && `${user.first_name}${user.is_deleted ? " (deleted)" : ""}`;
}

describe("a webhook's change", () => {
	it.each([
		["a newer update", [change("updated", 1), change("updated", 2)], ["created", "updated"], "updated 2"],
		["an older update", [change("updated", 2), change("updated", 1)], ["created", "outdated"], "updated 2"],
		[
			"an update at the same time as the creation",
			[change("created", 1), change("updated", 1)],
			["created", "updated"],
			"updated 1",
		],
		[
			"a creation at the same time as an update",
			[change("updated", 1), change("created", 1)],
			["created", "outdated"],
			"updated 1",
		],
		["the same again", [change("updated", 1), change("updated", 1)], ["created", "unchanged"], "updated 1"],
		[
			"other content at the same time",
			[change("updated", 1, "A"), change("updated", 1, "B")],
			["created", "updated"],
			"B",
		],
		[
			"a deletion",
			[change("created", 1), change("deleted", 2)],
			["created", "deleted"],
			"created 1 (deleted)",
		],
		[
			"a deletion at the same time",
			[change("updated", 1), change("deleted", 1)],
			["created", "deleted"],
			"updated 1 (deleted)",
		],
		["an older deletion", [change("updated", 2), change("deleted", 1)], ["created", "outdated"], "updated 2"],
		[
			"a second deletion",
			[change("deleted", 1), change("deleted", 2)],
			["deleted", "unchanged"],
			"null (deleted)",
		],
		[
			"an update at the same time as the deletion",
			[change("deleted", 1), change("updated", 1)],
			["deleted", "outdated"],
			"null (deleted)",
		],
		[
			"an update after the deletion",
			[change("deleted", 1), change("updated", 2)],
			["deleted", "created"],
			"updated 2",
		],
		[
			"a late update after a revival",
			[change("deleted", 2), change("created", 3), change("updated", 1)],
			["deleted", "created", "outdated"],
			"created 3",
		],
	] as [string, UserChange[], string[], string][])("%s", async (_name, changes, outcomes, after) => {
		const one = [];
		for (const each of changes) one.push(...(await apply([each])));
		expect(one).toEqual(outcomes);
		expect(await row()).toBe(after);
	});

	it("never revives a user of a provider whose ids are given out once", async () => {
		expect(await apply([change("created", 1), change("deleted", 2)], clerk)).toEqual(["created", "deleted"]);
		expect(await apply([change("updated", 9)], clerk)).toEqual(["outdated"]);
		expect(await apply([change("updated", 9)], clerk, at(59))).toEqual(["outdated"]);
		await sql("delete from capydb_auth.users");
		expect(await apply([change("updated", 9)], clerk)).toEqual(["outdated"]);
		expect(await row()).toBeUndefined();
	});

	it("deletes a user of such a provider in whatever order it comes, for nothing brings the user back", async () => {
		expect(await apply([change("updated", 7)], clerk)).toEqual(["created"]);
		expect(await apply([change("deleted", 5)], clerk)).toEqual(["deleted"]);
		expect(await row()).toBe("updated 7 (deleted)");
	});

	it("is refused for an id that another provider of the project holds", async () => {
		await apply([change("created", 1)], clerk);
		expect(await apply([change("updated", 9), change("created", 1, "mine", "user_2")], auth0)).toEqual([
			"created",
			"held",
		]);
		const users = await sql("select id, first_name from capydb_auth.users order by id");
		expect(users).toEqual([
			{ id: "user_1", first_name: "created 1" },
			{ id: "user_2", first_name: "mine" },
		]);
	});

	it("gives the answer of before when its event is applied again, also behind later ones", async () => {
		const requested = [change("created", 1), change("updated", 2)].map((each, index) => ({
			change: each,
			eventId: `inb_again_${index}`,
		}));
		const answer = ["created: created 1", "updated: updated 2"];
		expect(await announced(requested)).toEqual(answer);
		expect(await announced(requested)).toEqual(answer);
		expect(await row()).toBe("updated 2");
		// Once later events have come, what was settled is forgotten, and the row stays as it is.
		expect(await apply([change("updated", 3)])).toEqual(["updated"]);
	});

	it("takes the customer's own columns, triggers and hostile values as they come", async () => {
		await sql("alter table capydb_auth.users add column plan text default 'free'");
		const hostile = "'; drop table capydb_auth.users; -- \u202e\u{1f9ab} \\ \" $1 $$";
		expect(await apply([change("created", 1, hostile)])).toEqual(["created"]);
		expect(await sql("select first_name, plan from capydb_auth.users")).toEqual([
			{ first_name: hostile, plan: "free" },
		]);
		expect(await apply([change("updated", 2)])).toEqual(["updated"]);
	});
});

describe("a user of a provider that has left the project", () => {
	const providerOf = async () => {
		const [state] = await sql("select provider from capydb_auth.sync_state where user_id = 'user_1'");
		return state?.provider;
	};

	it("is taken over by whoever brings the id next, whatever the times", async () => {
		await apply([change("created", 9)], clerk);
		expect(await apply([change("updated", 1)], auth0, null, [])).toEqual(["updated"]);
		expect(await row()).toBe("updated 1");
		expect(await providerOf()).toBe("auth0");
		// From now on the new provider's times count, and the one that comes back finds the id held.
		expect(await apply([change("created", 0)], auth0, null, [])).toEqual(["outdated"]);
		expect(await apply([change("updated", 99)], clerk)).toEqual(["held"]);
	});

	it("is taken over without an announcement when nothing changes, and by a backfill", async () => {
		await apply([change("updated", 1), change("updated", 1, "B", "user_2")], clerk);
		expect(await apply([change("updated", 1)], auth0, null, [])).toEqual(["unchanged"]);
		expect(await providerOf()).toBe("auth0");
		expect(await apply([change("updated", 0, "C", "user_2")], auth0, at(0), [])).toEqual(["updated"]);
	});

	it("comes back although it was deleted for good there, and can be deleted by the new one", async () => {
		await apply([change("created", 1), change("deleted", 9)], clerk);
		expect(await apply([change("updated", 2)], auth0, null, [])).toEqual(["created"]);
		expect(await row()).toBe("updated 2");
		expect(await apply([change("deleted", 3)], auth0, null, [])).toEqual(["deleted"]);
		expect(await row()).toBe("updated 2 (deleted)");
		expect(await apply([change("updated", 1)], clerk, null, [])).toEqual(["created"]);
	});

	it("gives the same answer again to an event that is applied again", async () => {
		await apply([change("created", 9)], clerk);
		const changes = [{ change: change("updated", 1), eventId: "inb_taken_over" }];
		for (let time = 0; time < 2; time++) expect(await announced(changes)).toEqual(["updated: updated 1"]);
	});
});

describe("a backfill's change", () => {
	const now = async () => {
		const [found] = await sql("select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms");
		return new Date(Number(found?.ms) + 1);
	};

	it("writes new and newer users, and leaves older versions", async () => {
		expect(await apply([change("updated", 5)], auth0, await now())).toEqual(["created"]);
		expect(await apply([change("updated", 6)], auth0, await now())).toEqual(["updated"]);
		expect(await apply([change("updated", 5)], auth0, await now())).toEqual(["outdated"]);
		expect(await row()).toBe("updated 6");
	});

	it("never overwrites what was written after its users were read, even at the same version", async () => {
		const readAt = await now();
		await new Promise((resolve) => setTimeout(resolve, 5));
		await apply([change("updated", 5, "by webhook")]);
		expect(await apply([change("updated", 5, "stale page")], auth0, readAt)).toEqual(["outdated"]);
		expect(await row()).toBe("by webhook");
		expect(await apply([change("updated", 5, "fresh page")], auth0, await now())).toEqual(["updated"]);
	});

	it("brings back a row that the customer deleted, and no deleted user", async () => {
		await apply([change("updated", 5)]);
		await sql("delete from capydb_auth.users");
		expect(await apply([change("updated", 5)], auth0, await now())).toEqual(["created"]);
		await apply([change("deleted", 7)]);
		expect(await apply([change("updated", 6)], auth0, await now())).toEqual(["outdated"]);
		expect(await row()).toBe("updated 5 (deleted)");
	});

	it("keeps what a webhook still has to announce", async () => {
		const webhook = [{ change: change("created", 1), eventId: "inb_still_to_say" }];
		await applyAll(webhook);
		await apply([change("updated", 2)], auth0, await now());
		expect(await announced(webhook)).toEqual(["created: updated 2"]);
		expect(await row()).toBe("updated 2");
	});
});

describe("concurrent writers", () => {
	it("never deadlock, whatever the order of their users", async () => {
		const ids = Array.from({ length: 200 }, (_, index) => `user_${index}`);
		const batch = (second: number, order: string[]) =>
			apply(order.map((id) => change("updated", second, `v${second}`, id)));
		await Promise.all([1, 2, 3, 4, 5, 6].map((second) => batch(second, second % 2 ? ids : ids.toReversed())));
		const rows = await sql("select distinct first_name from capydb_auth.users");
		expect(rows).toEqual([{ first_name: "v6" }]);
	});

	it("make the schema once, also when many ask at once", async () => {
		await sql("drop schema capydb_auth cascade");
		await Promise.all(Array.from({ length: 8 }, () => ensureAuthSchema(server.ctx, project)));
		expect(await sql("select 1 from capydb_auth.users")).toEqual([]);
	});
});
