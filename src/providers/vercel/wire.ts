import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";

const Nullable = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const Id = Type.String({ minLength: 1, maxLength: 255 });
const Moment = Nullable(Type.Number());

/** A time for `until`, a token for `from`; Vercel writes both forms. */
const Pagination = Type.Object({ next: Nullable(Type.Union([Type.Number(), Type.String()])) });

const Project = Type.Object({
	id: Id,
	name: Type.String(),
	accountId: Nullable(Type.String()),
	link: Nullable(Type.Object({ productionBranch: Nullable(Type.String()) })),
});

const Variable = Type.Object({
	id: Type.Optional(Id),
	key: Type.String(),
	type: Type.String(),
	target: Nullable(Type.Union([Type.String(), Type.Array(Type.String())])),
	customEnvironmentIds: Nullable(Type.Array(Type.String())),
	gitBranch: Nullable(Type.String()),
	comment: Nullable(Type.String()),
	updatedAt: Moment,
});

const VariableFailure = Type.Object({
	error: Type.Object({
		code: Type.String(),
		key: Nullable(Type.String()),
		envVarKey: Nullable(Type.String()),
	}),
});

const Webhook = Type.Object({
	id: Id,
	url: Type.String(),
	events: Type.Array(Type.String()),
	projectIds: Nullable(Type.Array(Type.String())),
});

/** `meta` holds strings only, by the documentation; a value of another type is passed over. */
const Meta = Type.Record(Type.String(), Type.Unknown());

/** The fields that the list (`uid`, `state`) and the single look-up (`id`, `readyState`) have between them. */
const Deployment = Type.Object({
	uid: Type.Optional(Id),
	id: Type.Optional(Id),
	name: Nullable(Type.String()),
	projectId: Nullable(Type.String()),
	url: Nullable(Type.String()),
	inspectorUrl: Nullable(Type.String()),
	target: Nullable(Type.String()),
	customEnvironment: Nullable(Type.Object({ id: Id })),
	state: Nullable(Type.String()),
	readyState: Nullable(Type.String()),
	readySubstate: Nullable(Type.String()),
	source: Nullable(Type.String()),
	meta: Nullable(Meta),
	errorCode: Nullable(Type.String()),
	created: Moment,
	createdAt: Moment,
	buildingAt: Moment,
	ready: Moment,
	buildErrorAt: Moment,
	canceledAt: Moment,
});

/** The envelope of a webhook. Vercel calls `createdAt` the time of the event, in milliseconds. */
const Event = Type.Object({
	id: Type.String({ minLength: 1, maxLength: 255, pattern: "^[!-~]+$" }),
	type: Type.String({ maxLength: 128, pattern: "^[!-~]+$" }),
	createdAt: Moment,
	payload: Type.Object({}),
});

/** What we read of a deployment event's payload; older events name the project beside the deployment. */
const EventPayload = Type.Object({
	project: Nullable(Type.Object({ id: Nullable(Type.String()) })),
	projectId: Nullable(Type.String()),
	target: Nullable(Type.String()),
	links: Nullable(Type.Object({ deployment: Nullable(Type.String()) })),
	deployment: Nullable(
		Type.Object({
			id: Id,
			url: Nullable(Type.String()),
			inspectorUrl: Nullable(Type.String()),
			customEnvironmentId: Nullable(Type.String()),
			meta: Nullable(Meta),
		}),
	),
});

const Token = Type.Object({
	access_token: Type.String({ minLength: 1, maxLength: 500, pattern: "^[!-~]+$" }),
	installation_id: Nullable(Type.String()),
	team_id: Nullable(Type.String()),
});

export type VercelVariable = Static<typeof Variable>;
export type VercelDeployment = Static<typeof Deployment>;
export type VercelEvent = Static<typeof Event>;
export type VercelEventPayload = Static<typeof EventPayload>;
export type VercelMeta = Static<typeof Meta>;

export const isProject = guard(Project);
export const isProjectPage = guard(Type.Object({ projects: Type.Array(Project), pagination: Pagination }));
export const isTeamPage = guard(
	Type.Object({
		teams: Type.Array(Type.Object({ id: Id, name: Nullable(Type.String()), slug: Nullable(Type.String()) })),
		pagination: Pagination,
	}),
);
export const isUser = guard(
	Type.Object({ user: Type.Object({ username: Nullable(Type.String()), email: Nullable(Type.String()) }) }),
);
export const isVariableList = guard(Type.Object({ envs: Type.Array(Variable) }));
export const isVariablesCreated = guard(
	Type.Object({
		created: Nullable(Type.Union([Variable, Type.Array(Variable)])),
		failed: Nullable(Type.Array(VariableFailure)),
	}),
);
export const isWebhook = guard(Webhook);
export const isWebhookList = guard(Type.Array(Webhook));
export const isWebhookCreated = guard(
	Type.Composite([Webhook, Type.Object({ secret: Type.String({ minLength: 1 }) })]),
);
export const isDeployment = guard(Deployment);
export const isDeploymentPage = guard(
	Type.Object({ deployments: Type.Array(Deployment), pagination: Pagination }),
);
export const isDeploymentCreated = guard(Type.Object({ id: Nullable(Type.String()) }));
export const isEvent = guard(Event);
export const isEventPayload = guard(EventPayload);
export const isToken = guard(Token);

/** Milliseconds since 1970 as a Date; null when absent or outside of what a Date can hold. */
export function toMoment(milliseconds: number | null | undefined): Date | null {
	if (typeof milliseconds !== "number" || milliseconds <= 0) return null;
	const moment = new Date(milliseconds);
	return Number.isNaN(moment.getTime()) ? null : moment;
}

function guard<T extends TSchema>(schema: T): (value: unknown) => value is Static<T> {
	const compiled = TypeCompiler.Compile(schema);
	return (value): value is Static<T> => compiled.Check(value);
}
