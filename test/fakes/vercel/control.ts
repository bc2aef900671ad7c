import type { FakeVercelHandle } from "./handle.ts";
import { type Answer, type FakeRequest, notFound } from "./state.ts";

type Body = {
	project?: string;
	branch?: string;
	target?: "production";
	deployment?: string;
	outcome?: "ready" | "error";
};

/** The handle over HTTP, for a fake that runs as a process: `POST /_control/deploy {"project": "web", "branch": "x"}`. */
export async function answerControl(fake: FakeVercelHandle, { path, body }: FakeRequest): Promise<Answer> {
	const given = (body ?? {}) as Body;
	switch (path) {
		case "/_control/state":
			return { status: 200, body: snapshot(fake) };
		case "/_control/deploy": {
			const project = [...fake.projects.values()].find(({ id, name }) =>
				[id, name].includes(given.project ?? ""),
			);
			if (project === undefined) return notFound("Project");
			const target = given.target ?? null;
			const { deployment, event } = fake.deploy(project, { branch: given.branch ?? "main", target });
			return { status: 200, body: { deployment, sent: await fake.deliver([event]) } };
		}
		case "/_control/finish": {
			const deployment = fake.deployments.get(given.deployment ?? "");
			if (deployment === undefined) return notFound("Deployment");
			const event = fake.finish(deployment, given.outcome ?? "ready");
			return { status: 200, body: { deployment, sent: await fake.deliver([event]) } };
		}
		default:
			return notFound("Path");
	}
}

function snapshot(fake: FakeVercelHandle) {
	return {
		projects: [...fake.projects.values()],
		hooks: [...fake.hooks.values()],
		deployments: [...fake.deployments.values()],
		requests: fake.requests.map(({ method, path }) => `${method} ${path}`),
	};
}
