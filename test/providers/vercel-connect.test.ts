import { Value } from "@sinclair/typebox/value";
import { describe, expect, it } from "vitest";
import { createVercel } from "../../src/providers/vercel/index.ts";
import { calls, refusalOf, startVercelSite } from "./vercel-site.ts";

describe("connecting a Vercel project", () => {
	it("finds it by id or name, in a team named by id or slug, and keeps the ids", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const target = { id: project.id, teamId: fake.teamId };
		const found = { target, name: "web", productionBranch: "main" };
		for (const id of [project.id, "web"]) {
			for (const teamId of [fake.teamId, "acme"]) {
				expect(await vercel.identify({ ...access, target: { id, teamId } })).toEqual(found);
			}
		}
	});

	it("finds a project of the personal account without a team", async () => {
		const { fake, vercel, access } = await startVercelSite();
		const { id } = fake.addProject({ name: "blog", accountId: fake.userId });
		const target = { id: "blog", teamId: null };
		expect(await vercel.identify({ ...access, target })).toEqual({
			target: { id, teamId: null },
			name: "blog",
			productionBranch: "main",
		});
	});

	it("takes a token that may see one project only, since it asks for nothing else", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const token = fake.addToken({ projectId: project.id });
		const before = fake.requests.length;
		const { name } = await vercel.identify({ ...access, credentials: { token } });
		expect(name).toBe("web");
		expect(calls(fake, before)).toEqual([`GET /v9/projects/${project.id}`]);
	});

	it("is refused with a reason of ours: unknown token, other team, unknown project, no token", async () => {
		const { vercel, access, project } = await startVercelSite();
		const refused = async (token: string, target: { id: string; teamId: string | null }) => {
			const { reason, status, vendorCode } = await refusalOf(
				vercel.identify({ credentials: { token }, target }),
			);
			return [reason, status, vendorCode];
		};
		const { token = "" } = access.credentials;
		expect(await refused("vct_wrong", access.target)).toEqual(["forbidden", 403, "forbidden"]);
		expect(await refused(token, { id: project.id, teamId: "team_other" })).toEqual([
			"forbidden",
			403,
			"forbidden",
		]);
		expect(await refused(token, { id: "nowhere", teamId: access.target.teamId })).toEqual([
			"not_found",
			404,
			"not_found",
		]);
		expect((await refused("", access.target))[0]).toBe("unauthorized");
	});

	it("asks for the team when a project is not found without one", async () => {
		const { vercel, access, project } = await startVercelSite();
		const error = await refusalOf(vercel.identify({ ...access, target: { id: project.id, teamId: null } }));
		expect(error.message).toBe(
			"Vercel does not show this token such a project. If it belongs to a team, give `team_id`.",
		);
	});

	it("tells a provider that is down, slow or talking nonsense from one that refuses", async () => {
		const { fake, vercel, access } = await startVercelSite();
		fake.failNext(503);
		expect((await refusalOf(vercel.identify(access))).reason).toBe("unavailable");
		fake.garbageNext();
		expect((await refusalOf(vercel.identify(access))).reason).toBe("unexpected_answer");
		fake.garbageNext('{"id": 7}');
		expect((await refusalOf(vercel.identify(access))).reason).toBe("unexpected_answer");
		fake.dropNext();
		expect((await refusalOf(vercel.identify(access))).reason).toBe("unavailable");
	});

	it("waits as long as Vercel says, by Retry-After or by the reset of its limit, else ten seconds", async () => {
		const { fake, vercel, access } = await startVercelSite();
		fake.rateLimitNext(1, { retryAfter: 30, reset: Math.floor(Date.now() / 1000) + 90 });
		expect((await refusalOf(vercel.identify(access))).retryAfterSeconds).toBe(30);
		fake.rateLimitNext(1, { reset: Math.floor(Date.now() / 1000) + 90 });
		const byReset = (await refusalOf(vercel.identify(access))).retryAfterSeconds;
		expect(byReset).toBeGreaterThan(85);
		expect(byReset).toBeLessThanOrEqual(90);
		fake.rateLimitNext(1, { reset: Math.floor(Date.now() / 1000) + 90_000 });
		expect((await refusalOf(vercel.identify(access))).retryAfterSeconds).toBe(3600);
		fake.rateLimitNext(1, { reset: 1_000_000_000 });
		expect((await refusalOf(vercel.identify(access))).retryAfterSeconds).toBe(1);
		fake.rateLimitNext(1);
		expect(await refusalOf(vercel.identify(access))).toMatchObject({
			reason: "rate_limited",
			retryAfterSeconds: 10,
		});
	});

	it("says nothing of the token in an error", async () => {
		const { vercel, access } = await startVercelSite();
		const token = "vct_secret_of_the_user";
		const error = await refusalOf(vercel.identify({ ...access, credentials: { token } }));
		expect(JSON.stringify([error, error.message, String(error.cause)])).not.toContain(token);
	});

	it("ends at once when the caller gives up", async () => {
		const { fake, vercel, access } = await startVercelSite();
		const signal = AbortSignal.abort(new Error("given up"));
		await expect(vercel.identify({ ...access, signal })).rejects.toThrow("given up");
		expect(fake.requests).toEqual([]);
	});
});

describe("the resources of a Vercel token", () => {
	it("are the projects of all its teams and of the personal account, each once, over all pages", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const other = fake.addTeam("Beta");
		const theirs = fake.addProject({ name: "api", accountId: other });
		const own = fake.addProject({ name: "blog", accountId: fake.userId });
		for (let index = 0; index < 130; index += 1) fake.addProject({ name: `app-${index}` });
		const credentials = { token: fake.addToken() };
		const resources = await vercel.listResources({ ...access, credentials, teamId: null });
		expect(resources).toHaveLength(133);
		expect(new Set(resources.map(({ id }) => id)).size).toBe(133);
		expect(resources).toContainEqual({ id: project.id, name: "web", teamId: fake.teamId, teamName: "Acme" });
		expect(resources).toContainEqual({ id: theirs.id, name: "api", teamId: other, teamName: "Beta" });
		expect(resources).toContainEqual({ id: own.id, name: "blog", teamId: null, teamName: null });
	});

	it("are those of the integration's team for a token that may not list teams", async () => {
		const { fake, vercel, project } = await startVercelSite();
		fake.addProject({ name: "hidden" });
		const credentials = { token: fake.addToken({ projectId: project.id }) };
		const resources = await vercel.listResources({ credentials, teamId: fake.teamId });
		expect(resources).toEqual([{ id: project.id, name: "web", teamId: fake.teamId, teamName: null }]);
	});

	it("are refused to a token that is not good any more", async () => {
		const { fake, vercel, access } = await startVercelSite();
		fake.revokeToken(access.credentials.token ?? "");
		const call = vercel.listResources({ credentials: access.credentials, teamId: fake.teamId });
		expect((await refusalOf(call)).reason).toBe("forbidden");
	});
});

describe("the body of a Vercel connect call", () => {
	const { connectBody } = createVercel({ origin: "http://127.0.0.1:9", oauth: null });
	const accepts = (value: unknown) => Value.Check(connectBody, value);

	it("needs a project; the token may come from OAuth", () => {
		expect(accepts({ vercel_project_id: "prj_1" })).toBe(true);
		expect(
			accepts({ vercel_project_id: "web", token: "vct_1", team_id: "team_1", preview_branches: true }),
		).toBe(true);
		expect(accepts({ token: "vct_1" })).toBe(false);
	});

	it("refuses what would lead a path elsewhere, tokens that no header can carry, and unknown fields", () => {
		for (const vercel_project_id of ["", "a/b", "..%2f", "a b"])
			expect(accepts({ vercel_project_id })).toBe(false);
		expect(accepts({ vercel_project_id: "web", token: "vct_1\n" })).toBe(false);
		expect(accepts({ vercel_project_id: "web", project: "web" })).toBe(false);
	});
});
