import { randomBytes } from "node:crypto";

export type FakeToken = {
	/** The teams that it may act for; the personal account too when `userId` is set. */
	teamIds: string[];
	isPersonal: boolean;
	/** A project-scoped token reads and writes this project, and is refused on users, teams and webhooks. */
	projectId: string | null;
};

export type FakeTeam = { id: string; slug: string; name: string; plan: "hobby" | "pro" };

export type FakeVariable = {
	id: string;
	key: string;
	value: string;
	type: string;
	target: string[];
	customEnvironmentIds?: string[];
	gitBranch?: string;
	comment?: string;
	createdAt: number;
	updatedAt: number;
};

export type FakeProject = {
	id: string;
	name: string;
	/** The team's id, or the user's. */
	accountId: string;
	/** The connected repository; null for a project that is deployed by upload. */
	link: { org: string; repo: string; repoId: number } | null;
	variables: FakeVariable[];
	createdAt: number;
};

export type FakeHook = {
	id: string;
	secret: string;
	url: string;
	events: string[];
	projectIds?: string[];
	ownerId: string;
	createdAt: number;
};

export type FakeDeployment = {
	id: string;
	projectId: string;
	name: string;
	accountId: string;
	target: "production" | "staging" | null;
	customEnvironmentId: string | null;
	state: "QUEUED" | "BUILDING" | "READY" | "ERROR" | "CANCELED" | "DELETED" | "BLOCKED";
	isPromoted: boolean;
	source: "git" | "cli" | "redeploy";
	meta: Record<string, string>;
	errorCode: string | null;
	createdAt: number;
	finishedAt: number | null;
	/** What a build that started now would see. */
	variables: Record<string, string>;
};

export type FakeInstallation = { id: string; ownerId: string; teamId: string | null; token: string };
export type FakeCode = {
	code: string;
	teamId: string | null;
	installationId: string;
	redirectUri: string;
	createdAt: number;
};

export type FakeIntegration = { clientId: string; clientSecret: string; slug: string; redirectUri: string };

export type Answer = { status: number; body?: unknown; headers?: Record<string, string>; raw?: string };

/** Answers the next `times` requests that match, in place of Vercel. */
export type Fault = { times: number; matches: RegExp; answer: Answer | "drop" | "drop after work" };

export type FakeRequest = {
	method: string;
	path: string;
	query: Record<string, string>;
	headers: Record<string, string | string[] | undefined>;
	body: unknown;
};

/** One try. `status` is null while it is not answered, and when it never was. */
export type SentEvent = {
	hookId: string;
	type: string;
	body: string;
	status: number | null;
	isRetried: boolean;
};

export type State = {
	userId: string;
	tokens: Map<string, FakeToken>;
	teams: Map<string, FakeTeam>;
	projects: Map<string, FakeProject>;
	hooks: Map<string, FakeHook>;
	deployments: Map<string, FakeDeployment>;
	installations: Map<string, FakeInstallation>;
	codes: Map<string, FakeCode>;
	integration: FakeIntegration;
	requests: FakeRequest[];
	faults: Fault[];
	/** For the next variables that are created: what comes back in `failed`, on a 201. */
	variableFailures: { code: string; key?: string }[];
	sent: SentEvent[];
	/** Hooks that are there and never fire. */
	mutedHooks: Set<string>;
	/** Done between making a hook and answering, as a real platform may. */
	beforeHookAnswer: ((hook: FakeHook) => Promise<void>) | null;
	deploymentsPageMax: number;
	lastMoment: number;
};

export const hooksMax = 20;

export function createState(): State {
	const team: FakeTeam = { id: newId("team"), slug: "acme", name: "Acme", plan: "pro" };
	const userId = newId("user").replace("user_", "");
	return {
		userId,
		tokens: new Map(),
		teams: new Map([[team.id, team]]),
		projects: new Map(),
		hooks: new Map(),
		deployments: new Map(),
		installations: new Map(),
		codes: new Map(),
		integration: {
			clientId: "oac_fake",
			clientSecret: "fake-client-secret",
			slug: "capydb-fake",
			redirectUri: "http://127.0.0.1:3000/v1/integrations/vercel/oauth/callback",
		},
		requests: [],
		faults: [],
		variableFailures: [],
		sent: [],
		mutedHooks: new Set(),
		beforeHookAnswer: null,
		deploymentsPageMax: 100,
		lastMoment: 0,
	};
}

export function newId(prefix: string): string {
	return `${prefix}_${randomBytes(12).toString("hex")}`;
}

/** Milliseconds since 1970, never the same twice, so that lists have one order. */
export function moment(state: State): number {
	state.lastMoment = Math.max(Date.now(), state.lastMoment + 1);
	return state.lastMoment;
}

export function refusal(status: number, code: string, message: string, more: object = {}): Answer {
	return { status, body: { error: { code, message, ...more } } };
}

export function badRequest(message: string): Answer {
	return refusal(400, "bad_request", message);
}

export function forbidden(): Answer {
	return refusal(403, "forbidden", "Not authorized");
}

export function notFound(what: string): Answer {
	return refusal(404, "not_found", `${what} not found.`);
}
