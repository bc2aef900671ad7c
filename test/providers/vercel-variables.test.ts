import { describe, expect, it } from "vitest";
import { calls, databaseUrl, refusalOf, startVercelSite, type VercelSite } from "./vercel-site.ts";

const direct = { key: "DATABASE_URL_UNPOOLED" };

describe("pushing variables to Vercel", () => {
	it("writes both URLs as sensitive, for production and preview, and keeps what it wrote", async () => {
		const site = await startVercelSite();
		const { vercel, access, project } = site;
		const desired = [databaseUrl("postgres://pooled"), databaseUrl("postgres://direct", direct)];
		const pushed = await vercel.pushVariables(access, { desired, owned: [] });
		expect(standing(site)).toEqual([
			["DATABASE_URL", "postgres://pooled", "sensitive", "production preview", "Managed by CapyDB"],
			["DATABASE_URL_UNPOOLED", "postgres://direct", "sensitive", "production preview", "Managed by CapyDB"],
		]);
		expect(pushed.owned.map(({ id }) => id)).toEqual(project.variables.map(({ id }) => id));
		expect(pushed.written).toEqual([
			{ key: "DATABASE_URL", branch: null },
			{ key: "DATABASE_URL_UNPOOLED", branch: null },
		]);
		expect(pushed.takenOver).toEqual([]);
	});

	it("makes one read and no write when nothing differs", async () => {
		const { fake, vercel, access } = await startVercelSite();
		const desired = [databaseUrl("postgres://pooled"), databaseUrl("postgres://direct", direct)];
		const { owned } = await vercel.pushVariables(access, { desired, owned: [] });
		const before = fake.requests.length;
		const again = await vercel.pushVariables(access, { desired, owned });
		expect(calls(fake, before)).toEqual([`GET /v10/projects/${access.target.id}/env`]);
		expect(again).toEqual({ owned, written: [], takenOver: [] });
	});

	it("writes only the variable that differs, in place", async () => {
		const site = await startVercelSite();
		const { vercel, access, project } = site;
		const first = [databaseUrl("postgres://pooled"), databaseUrl("postgres://direct", direct)];
		const { owned } = await vercel.pushVariables(access, { desired: first, owned: [] });
		const ids = project.variables.map(({ id }) => id);
		const desired = [databaseUrl("postgres://pooled-2"), databaseUrl("postgres://direct", direct)];
		const { written } = await vercel.pushVariables(access, { desired, owned });
		expect(written).toEqual([{ key: "DATABASE_URL", branch: null }]);
		expect(project.variables.map(({ id }) => id)).toEqual(ids);
		expect(project.variables.map(({ value }) => value)).toEqual(["postgres://pooled-2", "postgres://direct"]);
	});

	it("writes again what somebody changed by hand, or removed", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const desired = [databaseUrl("postgres://pooled")];
		const first = await vercel.pushVariables(access, { desired, owned: [] });
		fake.changeVariable(project, "DATABASE_URL", "postgres://elsewhere");
		const second = await vercel.pushVariables(access, { desired, owned: first.owned });
		expect(project.variables.map(({ value }) => value)).toEqual(["postgres://pooled"]);
		expect(second.takenOver).toEqual([]);
		project.variables = [];
		const third = await vercel.pushVariables(access, { desired, owned: second.owned });
		expect(project.variables.map(({ id }) => id)).toEqual([third.owned[0]?.id]);
	});

	it("takes over a variable of that name, says so, and leaves its other targets alone", async () => {
		const site = await startVercelSite();
		const { fake, vercel, access, project } = site;
		fake.addVariable(project, { key: "DATABASE_URL", target: ["production", "preview", "development"] });
		fake.addVariable(project, { key: "OTHER" });
		const pushed = await vercel.pushVariables(access, {
			desired: [databaseUrl("postgres://pooled")],
			owned: [],
		});
		expect(pushed.takenOver).toEqual([{ key: "DATABASE_URL", branch: null }]);
		expect(standing(site)).toEqual([
			["DATABASE_URL", "by-hand", "encrypted", "development", undefined],
			["OTHER", "by-hand", "encrypted", "production preview", undefined],
			["DATABASE_URL", "postgres://pooled", "sensitive", "production preview", "Managed by CapyDB"],
		]);
	});

	it("takes over two variables that share out its targets between them", async () => {
		const site = await startVercelSite();
		const { fake, vercel, access, project } = site;
		fake.addVariable(project, { key: "DATABASE_URL", target: ["production"], type: "sensitive" });
		fake.addVariable(project, { key: "DATABASE_URL", target: ["preview", "development"] });
		await vercel.pushVariables(access, { desired: [databaseUrl("postgres://pooled")], owned: [] });
		expect(standing(site)).toEqual([
			["DATABASE_URL", "by-hand", "encrypted", "development", undefined],
			["DATABASE_URL", "postgres://pooled", "sensitive", "production preview", "Managed by CapyDB"],
		]);
	});

	it("leaves to the user's own environments what it takes over from the common ones", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const targets = ["production", "preview"];
		const theirs = {
			key: "DATABASE_URL",
			type: "sensitive",
			target: targets,
			customEnvironmentIds: ["env_qa"],
		};
		fake.addVariable(project, theirs);
		await vercel.pushVariables(access, { desired: [databaseUrl("postgres://pooled")], owned: [] });
		expect(project.variables.map(({ value, target }) => [value, target])).toEqual([
			["by-hand", []],
			["postgres://pooled", targets],
		]);
	});

	it("does not say that it took over a variable of its own whose write was never recorded", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const desired = [databaseUrl("postgres://pooled")];
		fake.dropNext({ afterWork: true, matches: /^POST .*\/env$/ });
		expect((await refusalOf(vercel.pushVariables(access, { desired, owned: [] }))).reason).toBe(
			"unavailable",
		);
		expect(project.variables).toHaveLength(1);
		const { takenOver } = await vercel.pushVariables(access, { desired, owned: [] });
		expect(takenOver).toEqual([]);
		expect(project.variables).toHaveLength(1);
	});

	it("gives up the preview target when a branch gets a database of its own, and takes it back", async () => {
		const site = await startVercelSite();
		const { vercel, access, project } = site;
		const both = [databaseUrl("postgres://pooled")];
		const { owned } = await vercel.pushVariables(access, { desired: both, owned: [] });
		const alone = [databaseUrl("postgres://pooled", { targets: ["production"] })];
		const narrowed = await vercel.pushVariables(access, { desired: alone, owned });
		expect(project.variables.map(({ target }) => target)).toEqual([["production"]]);
		site.fake.addVariable(project, { key: "DATABASE_URL", target: ["preview"] });
		const widened = await vercel.pushVariables(access, { desired: both, owned: narrowed.owned });
		expect(widened.takenOver).toEqual([{ key: "DATABASE_URL", branch: null }]);
		expect(project.variables.map(({ target, value }) => [target, value])).toEqual([
			[["production", "preview"], "postgres://pooled"],
		]);
	});

	it("sets a branch's variables beside the common ones, and a build of that branch sees them", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const common = databaseUrl("postgres://parent");
		const ofBranch = databaseUrl("postgres://branch", { branch: "feature/x", targets: [] });
		const { owned } = await vercel.pushVariables(access, { desired: [common, ofBranch], owned: [] });
		expect(owned.map(({ branch }) => branch)).toEqual([null, "feature/x"]);
		const seen = (branch: string) => fake.deploy(project, { branch }).deployment.variables.DATABASE_URL;
		expect([seen("feature/x"), seen("feature/y")]).toEqual(["postgres://branch", "postgres://parent"]);
		const before = fake.requests.length;
		await vercel.pushVariables(access, { desired: [ofBranch], owned });
		expect(calls(fake, before)).toHaveLength(1);
	});

	it("clears what stands in the way when a 201 lists a conflict, and tries once more", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		fake.failVariable("ENV_CONFLICT", "DATABASE_URL_UNPOOLED");
		const desired = [databaseUrl("postgres://pooled"), databaseUrl("postgres://direct", direct)];
		const { owned } = await vercel.pushVariables(access, { desired, owned: [] });
		expect(owned).toHaveLength(2);
		expect(project.variables.map(({ key }) => key).toSorted()).toEqual([
			"DATABASE_URL",
			"DATABASE_URL_UNPOOLED",
		]);
	});

	it("fails when a 201 lists a variable as failed for another reason, or in conflict for ever", async () => {
		const { fake, vercel, access } = await startVercelSite();
		const desired = [databaseUrl("postgres://pooled")];
		fake.failVariable("ENV_LIMIT");
		const limited = await refusalOf(vercel.pushVariables(access, { desired, owned: [] }));
		expect([limited.reason, limited.vendorCode, limited.message]).toEqual([
			"invalid_request",
			"ENV_LIMIT",
			"Vercel did not take DATABASE_URL.",
		]);
		fake.failVariable("ENV_CONFLICT");
		fake.failVariable("ENV_CONFLICT");
		const refused = await refusalOf(vercel.pushVariables(access, { desired, owned: [] }));
		expect(refused.vendorCode).toBe("ENV_CONFLICT");
	});

	it("says that Vercel refused a branch for a project without a repository", async () => {
		const { fake, vercel, access } = await startVercelSite();
		const { id } = fake.addProject({ name: "uploads", link: null });
		const desired = [databaseUrl("postgres://branch", { branch: "x", targets: [] })];
		const call = vercel.pushVariables(
			{ ...access, target: { ...access.target, id } },
			{ desired, owned: [] },
		);
		expect((await refusalOf(call)).vendorCode).toBe("bad_request");
	});
});

describe("removing variables at Vercel", () => {
	it("removes ours by id, and leaves those that somebody changed since, and those of others", async () => {
		const site = await startVercelSite();
		const { fake, vercel, access, project } = site;
		fake.addVariable(project, { key: "OTHER" });
		const desired = [databaseUrl("postgres://pooled"), databaseUrl("postgres://direct", direct)];
		const { owned } = await vercel.pushVariables(access, { desired, owned: [] });
		fake.changeVariable(project, "DATABASE_URL_UNPOOLED", "postgres://mine");
		const { removed, kept } = await vercel.removeVariables(access, owned);
		expect(removed.map(({ key }) => key)).toEqual(["DATABASE_URL"]);
		expect(kept.map(({ key }) => key)).toEqual(["DATABASE_URL_UNPOOLED"]);
		expect(project.variables.map(({ key }) => key)).toEqual(["OTHER", "DATABASE_URL_UNPOOLED"]);
	});

	it("counts as removed what is gone already, and asks nothing when there is nothing of ours", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const { owned } = await vercel.pushVariables(access, {
			desired: [databaseUrl("postgres://a")],
			owned: [],
		});
		project.variables = [];
		expect((await vercel.removeVariables(access, owned)).removed).toEqual(owned);
		const before = fake.requests.length;
		expect(await vercel.removeVariables(access, [])).toEqual({ removed: [], kept: [] });
		expect(fake.requests.length).toBe(before);
	});
});

function standing({ project }: VercelSite) {
	return project.variables.map(({ key, value, type, target, comment }) => [
		key,
		value,
		type,
		target.join(" "),
		comment,
	]);
}
