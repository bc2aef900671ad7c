import { describe, expect, it } from "vitest";
import { newId, type OrganizationId, type ProjectId } from "../../src/core/ids.ts";
import { systemActor } from "../../src/core/principal.ts";
import { deleteIntegration } from "../../src/integrations/delete-integration.ts";
import type { Project } from "../../src/projects/project.ts";
import { applyUserChanges } from "../../src/user-sync/apply-user-changes.ts";
import { until } from "../support/until.ts";
import {
	type ClerkServer,
	connect,
	getIntegration,
	newUser,
	projectSql,
	send,
	settledInbound,
	startClerkServer,
	userEvents,
} from "./clerk-server.ts";

const auth0 = { id: "auth0", deletesAreFinal: false };

/** Another provider, connected before Clerk, that holds users of these ids. */
async function connectAnother({ server, tenant }: ClerkServer, ids: readonly string[]) {
	const projectId = tenant.projectId as ProjectId;
	const project = (await server.ctx.stores.projects.find(projectId)) as Project;
	await server.ctx.stores.integrations.claim({
		id: newId("int"),
		organizationId: tenant.organizationId as OrganizationId,
		projectId,
		provider: auth0.id,
	});
	const changes = ids.map((id) => ({
		eventId: null,
		change: {
			kind: "updated" as const,
			version: new Date(),
			user: {
				id,
				email: `${id}@auth0.example`,
				firstName: null,
				lastName: null,
				username: null,
				imageUrl: null,
				createdAt: null,
				updatedAt: null,
				lastSignInAt: null,
				raw: {},
			},
		},
	}));
	const settings = { provider: auth0, others: ["clerk"], readAt: null, newsSince: null };
	await applyUserChanges(server.ctx, { project, changes, ...settings });
}

const leave = ({ server, tenant }: ClerkServer) =>
	deleteIntegration(server.ctx, {
		projectId: tenant.projectId as ProjectId,
		provider: auth0,
		actor: systemActor,
	});

/** How many living users each provider holds. */
async function holders({ server, tenant }: ClerkServer) {
	const rows = await projectSql(
		server,
		tenant,
		`select s.provider, count(*)::int as users from capydb_auth.users u
		join capydb_auth.sync_state s on s.user_id = u.id where u.deleted_at is null group by 1`,
	);
	return Object.fromEntries(rows.map((row) => [row.provider, row.users]));
}

describe("several providers on one project", () => {
	it("hold their users beside each other; a backfill leaves the other's alone and says whom it left out", async () => {
		const started = await startClerkServer(6);
		const { server, tenant } = started;
		await connectAnother(started, ["user_0000002", "auth0|1"]);
		await connect(started);
		expect(await holders(started)).toEqual({ auth0: 2, clerk: 5 });
		const clerk = (await listed(started)).clerk;
		expect(clerk.config).toMatchObject({
			users_synced: 5,
			last_error: "1 users were left out: another provider of this project holds their ids.",
		});
		const [row] = await projectSql(server, tenant, "select email from capydb_auth.users where id = $1", [
			"user_0000002",
		]);
		expect(row?.email).toBe("user_0000002@auth0.example");
	});

	it("refuse, count and show a webhook for an id that the other holds, and announce nothing", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		const user = newUser();
		await connectAnother(started, [user.id]);
		await connect(started);
		await send(started, "user.created", user);
		await send(started, "user.deleted", { id: user.id, object: "user", deleted: true });
		const rows = await settledInbound(server, 2);
		const refused = { state: "failed", error: "The user's id is held by another provider of this project." };
		expect(rows).toMatchObject([refused, refused]);
		expect(await userEvents(server, tenant)).toEqual([]);
		expect((await listed(started)).clerk.config.last_error).toBe(
			"2 changes were refused: another provider of this project holds the users' ids.",
		);
		expect(await holders(started)).toEqual({ auth0: 1 });
	});
});

describe("a provider that leaves the project", () => {
	it("leaves its users, whose ids the others take over by a backfill that is queued at once", async () => {
		const started = await startClerkServer(6);
		const { server, tenant } = started;
		await connectAnother(started, ["user_0000002", "auth0|1"]);
		await connect(started);
		await leave(started);
		await until(async () => (await holders(started)).clerk === 6);
		// Nobody brings the other one any more: it stays as it was.
		expect(await holders(started)).toEqual({ auth0: 1, clerk: 6 });
		await until(async () => (await getIntegration(server, tenant)).config.last_error === null);
		expect((await getIntegration(server, tenant)).config.users_synced).toBe(6);
		expect(await userEvents(server, tenant)).toEqual([]);
	});

	it("is refused an id that another took over, when it comes back", async () => {
		const started = await startClerkServer(1);
		await connectAnother(started, ["user_0000000"]);
		await leave(started);
		await connect(started);
		expect(await holders(started)).toEqual({ clerk: 1 });
		await connectAnother(started, ["user_0000000", "auth0|1"]);
		expect(await holders(started)).toEqual({ auth0: 1, clerk: 1 });
	});

	it("does not wait for another that leaves at the same time", async () => {
		const started = await startClerkServer(3);
		const { server, tenant } = started;
		await connectAnother(started, ["auth0|1"]);
		await connect(started);
		const path = `/v1/projects/${tenant.projectId}/integrations`;
		const [, answer] = await Promise.all([
			leave(started),
			server.call("DELETE", `${path}/clerk`, { key: tenant.key }),
		]);
		expect(answer.status).toBe(200);
		expect((await server.call("GET", path, { key: tenant.key })).body.integrations).toEqual([]);
	});

	it("finds its users again when it is connected again", async () => {
		const started = await startClerkServer(4);
		const { server, clerk, tenant } = started;
		await connect(started);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk`;
		await server.call("DELETE", path, { key: tenant.key });
		expect(await holders(started)).toEqual({ clerk: 4 });
		clerk.deleteUser("user_0000001");
		await connect(started);
		expect(await holders(started)).toEqual({ clerk: 3 });
	});
});

async function listed({ server, tenant }: ClerkServer) {
	const path = `/v1/projects/${tenant.projectId}/integrations`;
	const { body } = await server.call("GET", path, { key: tenant.key });
	return Object.fromEntries(body.integrations.map((each: { provider: string }) => [each.provider, each]));
}
