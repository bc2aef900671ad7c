import type { FakeDeployment, FakeHook, FakeProject, FakeTeam, FakeVariable, State } from "./state.ts";

const settings = { buildCommand: null, devCommand: null, framework: null, outputDirectory: null };

/** A project as `GET /v9/projects/{id}` shows it. */
export function projectDocument(project: FakeProject) {
	const { id, name, accountId, createdAt, link } = project;
	const resources = { functionDefaultRegions: ["iad1"] };
	return {
		id,
		name,
		accountId,
		createdAt,
		updatedAt: createdAt,
		framework: "nextjs",
		nodeVersion: "22.x",
		directoryListing: false,
		resourceConfig: resources,
		defaultResourceConfig: resources,
		live: false,
		...(link === null
			? {}
			: {
					link: {
						...link,
						type: "github",
						deployHooks: [],
						gitCredentialId: "cred_fake",
						productionBranch: "main",
					},
				}),
	};
}

export function teamDocument(state: State, team: FakeTeam) {
	const createdAt = 1_760_000_000_000;
	const membership = { confirmed: true, confirmedAt: createdAt, role: "OWNER", uid: state.userId, createdAt };
	const { id, slug, name } = team;
	const limitedBy = ["scope"];
	return {
		id,
		slug,
		name,
		avatar: null,
		limited: true,
		limitedBy,
		membership: { ...membership, created: createdAt, teamId: id },
		createdAt,
	};
}

/** A variable as the list and the answers show it; a sensitive value is never given back. */
export function variableDocument({ value, ...variable }: FakeVariable) {
	return { ...variable, value: variable.type === "sensitive" ? "" : value, configurationId: null };
}

/** A webhook as it is listed: without the secret, which only the create answer holds. */
export function hookDocument({ secret: _, ...hook }: FakeHook) {
	return { ...hook, updatedAt: hook.createdAt };
}

/** A deployment of the list: `uid` and `state`. */
export function listedDeployment(deployment: FakeDeployment) {
	const { id, state, name, projectId, meta, target, createdAt, source, customEnvironmentId } = deployment;
	return {
		uid: id,
		name,
		projectId,
		url: urlOf(deployment),
		created: createdAt,
		createdAt,
		buildingAt: createdAt + 1,
		...(state === "READY" ? { ready: deployment.finishedAt } : {}),
		state,
		readyState: state,
		...(deployment.isPromoted ? { readySubstate: "PROMOTED" } : {}),
		source,
		target,
		meta,
		type: "LAMBDAS",
		creator: { uid: "user-fake", username: "ada" },
		inspectorUrl: inspectorUrl(deployment),
		...(deployment.errorCode === null ? {} : { errorCode: deployment.errorCode }),
		...(customEnvironmentId === null ? {} : { customEnvironment: { id: customEnvironmentId } }),
	};
}

/** One deployment as `/v13/deployments/{id}` shows it: `id` and `readyState`, and the reason of a failure. */
export function singleDeployment(state: State, deployment: FakeDeployment) {
	const { id, name, projectId, meta, target, createdAt, source, errorCode, accountId } = deployment;
	const { uid: _, state: readyState, created: __, ...listed } = listedDeployment(deployment);
	const failure =
		errorCode === null ? {} : { errorCode, errorMessage: "The build failed.", errorStep: "build" };
	return {
		...listed,
		id,
		name,
		projectId,
		meta,
		target,
		source,
		createdAt,
		readyState,
		status: readyState,
		ownerId: accountId,
		project: { id: projectId, name, framework: null },
		version: 2,
		plan: "pro",
		createdIn: "iad1",
		regions: ["iad1"],
		routes: [],
		env: [],
		build: { env: [] },
		projectSettings: settings,
		aliasAssigned: readyState === "READY",
		alias: [],
		bootedAt: createdAt,
		buildSkipped: false,
		isInConcurrentBuildsQueue: false,
		isInSystemBuildsQueue: false,
		integrations: { status: "ready", startedAt: createdAt },
		public: false,
		creator: { uid: state.userId, username: "ada" },
		...failure,
	};
}

export function urlOf({ name, id }: FakeDeployment): string {
	return `${name}-${id.slice(-9)}-acme.vercel.app`;
}

export function inspectorUrl({ name, id }: FakeDeployment): string {
	return `https://vercel.com/acme/${name}/${id.slice(4)}`;
}
