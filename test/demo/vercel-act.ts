import { until } from "../support/until.ts";
import { accepted, createEndpoint, endOfJob } from "./connect-steps.ts";
import type { Story } from "./story.ts";
import { must, type Summary, say } from "./telling.ts";
import {
	branchUrl,
	connections,
	connectVercel,
	deploymentIn,
	pushCommit,
	queryAs,
	rebuilt,
	variablesOf,
} from "./vercel-steps.ts";

type VercelProject = ReturnType<Story["vercel"]["addProject"]>;

const branch = "feature/checkout";
const orders = 7;
/** A branch's database lives for 72 hours after the last deployment. */
const hoursLater = 73;

/** Connect, push, a branch with a database of its own, a rotated password, the end of the branch, disconnect. */
export async function tellOfVercel(story: Story): Promise<Summary> {
	const { vercel } = story;
	const project = vercel.addProject({ name: "shop" });
	say(`a stand-in for Vercel runs at ${vercel.origin}, with project ${project.name}`);
	await createEndpoint(story);

	await connect(story, project);
	const url = await deployBranch(story, project);
	await rotate(story, project, url);
	await outlive(story, project, url);
	await disconnect(story, project);

	const statuses = vercel.sent.map(({ status }) => status);
	must(
		statuses.every((status) => status === 200),
		`Vercel's events were answered ${statuses}.`,
	);
	const { arrivals, faults } = story.receiver;
	must(faults.length === 0, faults[0] ?? "");
	const writes = vercel.requests.filter(({ method }) => method !== "GET");
	return [
		["events from Vercel, all answered 200", vercel.sent.length],
		["requests to Vercel that changed something", writes.length],
		["requests to Vercel that only read", vercel.requests.length - writes.length],
		["webhooks that the receiver verified", arrivals.length],
	];
}

async function connect(story: Story, project: VercelProject): Promise<void> {
	const { jobId, state } = await connectVercel(story, project);
	must(state === "active", `The integration is ${state}.`);
	const job = await endOfJob(story, jobId);
	for (const step of job.steps) say(`  job: ${step}`);
	must(job.state === "completed", `The push's job is ${job.state}.`);
	const { pooled, direct } = await connections(story);
	const { DATABASE_URL, DATABASE_URL_UNPOOLED } = variablesOf(project, null);
	must(
		DATABASE_URL === pooled && DATABASE_URL_UNPOOLED === direct,
		"The variables are not the project's URLs.",
	);
	must(
		project.variables.every(({ target }) => target.join() === "production"),
		"The project's own URLs went further than production.",
	);
	must(story.vercel.hooks.size === 1, `There are ${story.vercel.hooks.size} hooks.`);
	say("Vercel has DATABASE_URL and DATABASE_URL_UNPOOLED, for production alone, and one hook");
}

/** Returns the URL of the branch's own database. */
async function deployBranch(story: Story, project: VercelProject): Promise<string> {
	await story.sql("create table orders (id int generated always as identity, item text)");
	await story.sql(`insert into orders (item) select 'tea' from generate_series(1, ${orders})`);
	const { deployment, statuses } = await pushCommit(story, project, branch);
	must(
		statuses.every((status) => status === 200),
		`Vercel's events were answered ${statuses}.`,
	);
	say(`a commit on ${branch}: Vercel's event came in, twice`);
	const url = await branchUrl(project, branch);
	const rows = await queryAs(url, "select count(*)::int as count from orders");
	must(rows?.[0]?.count === orders, `The branch's database holds ${rows?.[0]?.count} orders.`);
	say(
		`the branch has a database of its own, with the ${orders} orders, and variables of its own that name it`,
	);
	await queryAs(url, "delete from orders");
	const [own] = await story.sql("select count(*)::int as count from orders");
	must(own?.count === orders, `The project's database holds ${own?.count} orders.`);
	say(`all orders deleted there: the project's own database still holds ${orders}`);
	const again = await rebuilt(story, project);
	must(again.variables.DATABASE_URL === url, "The second build does not see the branch's URL.");
	say("the branch was built once more, and this build sees its own DATABASE_URL");
	await story.vercel.deliver([story.vercel.finish(deployment, "ready")]);
	const shown = await deploymentIn(story, deployment.id, "ready");
	must(shown.preview_database_id !== null, "The deployment shows no database.");
	for (const type of ["deployment.created", "deployment.ready"]) {
		await accepted(story, type, ({ data }) => JSON.stringify(data).includes(deployment.id));
	}
	await accepted(story, "preview.ready");
	say("the receiver was told: deployment.created, preview.ready, deployment.ready");
	return url;
}

async function rotate(story: Story, project: VercelProject, branchsUrl: string): Promise<void> {
	const before = await connections(story);
	const { job } = await story.call("POST", `/v1/projects/${story.projectId}/credentials/rotate`, {
		expect: 202,
	});
	must((await endOfJob(story, job.id)).state === "completed", "The password was not changed.");
	const { pooled } = await connections(story);
	await until(() => variablesOf(project, null).DATABASE_URL === pooled, {
		what: "the new DATABASE_URL at Vercel",
	});
	must((await queryAs(before.pooled, "select 1")) === null, "The old password still works.");
	must((await queryAs(pooled, "select 1")) !== null, "The new URL does not work.");
	must(variablesOf(project, branch).DATABASE_URL === branchsUrl, "The branch's URL changed.");
	say("the password was rotated: Vercel has the new URL, the old one is refused, the branch's is as it was");
}

async function outlive(story: Story, project: VercelProject, url: string): Promise<void> {
	await story.passHours(hoursLater);
	say(`${hoursLater} hours pass without a deployment of the branch (within a minute the server looks)`);
	await until(() => Object.keys(variablesOf(project, branch)).length === 0, {
		what: "the end of the branch's variables",
	});
	must((await queryAs(url, "select 1")) === null, "The branch's database still lets its URL in.");
	await accepted(story, "preview.deleted");
	say("its database, its role and its variables are gone, and the receiver was told: preview.deleted");
}

async function disconnect({ call, projectId, vercel }: Story, project: VercelProject): Promise<void> {
	await call("DELETE", `/v1/projects/${projectId}/integrations/vercel`);
	await until(() => vercel.hooks.size === 0 && project.variables.length === 0, {
		what: "Vercel as it was before",
	});
	say("disconnected: no hook and no variable of ours is left at Vercel");
}
