import { addDeployment, type DeployHow } from "./deployments.ts";
import {
	type DeliverHow,
	deliver,
	deploymentEvent,
	type FakeEvent,
	finishDeployment,
	retryFailed,
	send,
	signedDelivery,
} from "./events.ts";
import { install } from "./oauth.ts";
import {
	type FakeDeployment,
	type FakeHook,
	type FakeProject,
	type FakeToken,
	type FakeVariable,
	moment,
	newId,
	refusal,
	type State,
} from "./state.ts";

export type FakeVercelHandle = ReturnType<typeof createHandle>;

/** What a test does at the fake: what a user does at Vercel, what Vercel does by itself, and what goes wrong. */
export function createHandle(state: State) {
	return {
		teamId: [...state.teams.keys()][0] ?? "",
		userId: state.userId,
		integration: state.integration,
		requests: state.requests,
		sent: state.sent,
		projects: state.projects,
		hooks: state.hooks,
		teams: state.teams,
		tokens: state.tokens,
		installations: state.installations,
		...account(state),
		...deployments(state),
		...faults(state),
	};
}

function account(state: State) {
	const teamId = [...state.teams.keys()][0] ?? "";
	return {
		/** A token for the personal account and all teams, unless told otherwise. */
		addToken(token: Partial<FakeToken> & { token?: string } = {}): string {
			const { token: text = newId("vct"), ...limits } = token;
			state.tokens.set(text, {
				teamIds: [...state.teams.keys()],
				isPersonal: true,
				projectId: null,
				...limits,
			});
			return text;
		},
		revokeToken(token: string): void {
			state.tokens.delete(token);
		},
		addTeam(name: string, plan: "hobby" | "pro" = "pro"): string {
			const id = newId("team");
			state.teams.set(id, { id, name, slug: name.toLowerCase(), plan });
			return id;
		},
		/** A project of the first team, connected to a repository, unless told otherwise. */
		addProject(project: Partial<Pick<FakeProject, "name" | "accountId" | "link">> = {}): FakeProject {
			const made: FakeProject = {
				id: newId("prj"),
				name: "web",
				accountId: teamId,
				link: { org: "acme-inc", repo: project.name ?? "web", repoId: 900_000_001 },
				...project,
				variables: [],
				createdAt: moment(state),
			};
			state.projects.set(made.id, made);
			return made;
		},
		/** A variable that the user made by hand. */
		addVariable(project: FakeProject, variable: Partial<FakeVariable> & { key: string }): FakeVariable {
			const now = moment(state);
			const made: FakeVariable = {
				id: newId("env").slice(4, 20),
				value: "by-hand",
				type: "encrypted",
				target: ["production", "preview"],
				createdAt: now,
				updatedAt: now,
				...variable,
			};
			project.variables.push(made);
			return made;
		},
		/** A user changes a value by hand; the variable's time moves on. */
		changeVariable(project: FakeProject, key: string, value: string): void {
			for (const variable of project.variables.filter((each) => each.key === key)) {
				Object.assign(variable, { value, updatedAt: moment(state) });
			}
		},
		/** A user agrees to install the integration; the address that the browser is sent to. */
		install: (flowState: string | null, forTeam: string | null = teamId, at = new Date()): URL =>
			install(state, forTeam, flowState, at),
	};
}

function deployments(state: State) {
	return {
		/** A commit is pushed: the deployment and its `deployment.created`, not sent yet. */
		deploy(project: FakeProject, how: DeployHow): { deployment: FakeDeployment; event: FakeEvent } {
			const deployment = addDeployment(state, project, how);
			return { deployment, event: deploymentEvent(state, "deployment.created", deployment) };
		},
		/** The event of what became of it, not sent yet. */
		finish: (deployment: FakeDeployment, outcome: Parameters<typeof finishDeployment>[2]): FakeEvent =>
			finishDeployment(state, deployment, outcome),
		deployments: state.deployments,
		/** Sends events to every hook that listens to them: once each and in order unless told otherwise. */
		deliver: (events: readonly FakeEvent[], how?: DeliverHow) => deliver(state, events, how),
		/** Sends one event to one hook, whatever it listens to. */
		send: (hook: FakeHook, event: FakeEvent) => send(state, hook, event),
		signedDelivery,
		/** Tries once more what was not answered with a 2xx. */
		retryFailed: () => retryFailed(state),
		/** Sends this event to a new hook before its create call is answered. */
		sendBeforeHookAnswer(event: FakeEvent): void {
			state.beforeHookAnswer = async (hook) => {
				state.beforeHookAnswer = null;
				await send(state, hook, event);
			};
		},
		/** Somebody deletes a hook in the dashboard. */
		dropHook(id: string): void {
			if (!state.hooks.delete(id)) throw new Error(`The fake has no hook ${id}.`);
		},
		/** The hook stays listed and is not called any more. */
		muteHook(id: string): void {
			state.mutedHooks.add(id);
		},
		/** Deployments of a page at most, whatever `limit` asks for. */
		limitDeploymentPages(max: number): void {
			state.deploymentsPageMax = max;
		},
	};
}

function faults(state: State) {
	return {
		/** The next `times` requests are answered 429; headers only as given. `reset` is in Unix seconds. */
		rateLimitNext(times: number, { retryAfter, reset }: { retryAfter?: number; reset?: number } = {}): void {
			const headers = {
				...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
				...(reset === undefined ? {} : { "x-ratelimit-reset": String(reset) }),
			};
			const answer = { ...refusal(429, "rate_limited", "The rate limit is exceeded"), headers };
			state.faults.push({ times, matches: /^/, answer });
		},
		/** Requests such as "POST /v1/webhooks" are refused; all when no pattern is given. */
		failNext(status: number, { times = 1, matches = /^/, code = "internal_server_error" } = {}): void {
			state.faults.push({ times, matches, answer: refusal(status, code, "Something went wrong") });
		},
		/** A 200 with a body that is none of Vercel's. */
		garbageNext(raw = "<html>Bad gateway</html>", { times = 1, matches = /^/ } = {}): void {
			state.faults.push({ times, matches, answer: { status: 200, raw } });
		},
		/** The connection breaks; with `afterWork` only once the request has had its effect. */
		dropNext({ afterWork = false, matches = /^/ } = {}): void {
			state.faults.push({ times: 1, matches, answer: afterWork ? "drop after work" : "drop" });
		},
		/** The next variable to be created, of that key if one is given, is listed as failed in a 201. */
		failVariable(code: string, key?: string): void {
			state.variableFailures.push(key === undefined ? { code } : { code, key });
		},
	};
}
