import { expect, it } from "vitest";
import { fromUuid, newUuid } from "../../src/core/ids.ts";
import { branchResource } from "../../src/deployments/branch.ts";
import { sweepBranches } from "../../src/deployments/sweep-branches.ts";
import { createMemoryLog } from "../support/memory-log.ts";
import { startTestServer } from "../support/server.ts";

it("branches that are behind are taken up, longest first, and one that cannot be keeps none of the others", async () => {
	const { log, lines } = createMemoryLog();
	const server = await startTestServer({ env: { ROLE: "api" }, log });
	const [id, disabled] = [newUuid(), newUuid()];
	const integrationId = fromUuid("int", id);
	for (const [integration, state] of [
		[id, "active"],
		[disabled, "disabled"],
	]) {
		await server.sql(
			"insert into integrations (id, organization_id, project_id, provider, state) values ($1, $1, $1, 'vercel', $2)",
			[integration, state],
		);
	}
	const behind = async (branch: string, ofIntegration: string, minutes: number) => {
		await server.sql(
			`insert into deployment_branches (integration_id, branch, organization_id, project_id, updated_at)
			values ($1, $2, $1, $1, clock_now() - $3 * interval '1 minute')`,
			[ofIntegration, branch, minutes],
		);
	};
	await behind("new", id, 1);
	await behind("poison", id, 3);
	await behind("old", id, 2);
	await behind("elsewhere", disabled, 4);
	await server.sql(`create function refuse_poison() returns trigger language plpgsql as $$ begin
		if new.locked_resource like '%poison' then raise exception 'refused'; end if; return new; end $$`);
	await server.sql(
		"create trigger refuse before insert on jobs for each row execute function refuse_poison()",
	);
	const listed = await server.ctx.stores.branches.listBehind(2);
	expect(listed).toMatchObject([
		{ integrationId, branch: "poison" },
		{ integrationId, branch: "old" },
	]);
	await expect(sweepBranches(server.ctx)).rejects.toThrow(/^1 of \d+ failed/);
	const jobs = await server.sql<{ resource: string }>(
		"select locked_resource as resource from jobs order by id",
	);
	expect(jobs.map(({ resource }) => resource)).toEqual(
		["old", "new"].map((branch) => branchResource({ integrationId, branch })),
	);
	expect(lines.filter((line) => line.includes("could not be taken up"))).toHaveLength(1);
});
