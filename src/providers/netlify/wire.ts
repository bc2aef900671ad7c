import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";

const Nullable = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const Id = Type.String({ minLength: 1, maxLength: 255, pattern: "^[!-~]+$" });

const Site = Type.Object({
	id: Id,
	name: Type.String(),
	account_id: Id,
	account_name: Nullable(Type.String()),
	build_settings: Nullable(Type.Object({ repo_branch: Nullable(Type.String()) })),
});

const EnvValue = Type.Object({
	id: Id,
	value: Nullable(Type.String()),
	context: Type.String(),
	context_parameter: Nullable(Type.String()),
});

const Variable = Type.Object({
	key: Type.String(),
	values: Type.Array(EnvValue),
	is_secret: Nullable(Type.Boolean()),
	updated_at: Nullable(Type.String()),
});

/** The specification leaves `data` open: its `url` and `signature_secret` are in no document of Netlify's. */
const Hook = Type.Object({
	id: Id,
	type: Nullable(Type.String()),
	event: Nullable(Type.String()),
	data: Nullable(Type.Object({ url: Nullable(Type.String()), signature_secret: Nullable(Type.String()) })),
	disabled: Nullable(Type.Boolean()),
});

const HookType = Type.Object({
	name: Nullable(Type.String()),
	events: Nullable(Type.Array(Type.String())),
	restricted_events: Nullable(Type.Array(Type.String())),
});

/** The fields of a deploy that we read; the vendor sends some seventy. */
const Deploy = Type.Object({
	id: Id,
	site_id: Nullable(Id),
	state: Nullable(Type.String()),
	context: Nullable(Type.String()),
	branch: Nullable(Type.String()),
	title: Nullable(Type.String()),
	committer: Nullable(Type.String()),
	commit_ref: Nullable(Type.String()),
	commit_url: Nullable(Type.String()),
	review_id: Nullable(Type.Number()),
	review_url: Nullable(Type.String()),
	error_message: Nullable(Type.String()),
	skipped: Nullable(Type.Boolean()),
	url: Nullable(Type.String()),
	ssl_url: Nullable(Type.String()),
	deploy_url: Nullable(Type.String()),
	deploy_ssl_url: Nullable(Type.String()),
	admin_url: Nullable(Type.String()),
	created_at: Nullable(Type.String()),
	updated_at: Nullable(Type.String()),
	published_at: Nullable(Type.String()),
});

const Token = Type.Object({
	access_token: Type.String({ minLength: 1, maxLength: 2000, pattern: "^[!-~]+$" }),
	expires_in: Nullable(Type.Number()),
	refresh_token: Nullable(Type.String({ minLength: 1, maxLength: 2000 })),
});

export type NetlifyVariable = Static<typeof Variable>;
export type NetlifyValue = Static<typeof EnvValue>;
export type NetlifyHook = Static<typeof Hook>;
export type NetlifyDeploy = Static<typeof Deploy>;

export const isSite = guard(Site);
export const isSiteList = guard(Type.Array(Site));
export const isUser = guard(
	Type.Object({ full_name: Nullable(Type.String()), email: Nullable(Type.String()) }),
);
export const isVariable = guard(Variable);
export const isVariableList = guard(Type.Array(Variable));
export const isHook = guard(Hook);
export const isHookList = guard(Type.Array(Hook));
export const isHookTypeList = guard(Type.Array(HookType));
export const isDeploy = guard(Deploy);
export const isDeployList = guard(Type.Array(Deploy));
/** What an event is about, be it a deploy or a form's submission. */
export const isEventBody = guard(
	Type.Object({
		id: Id,
		site_id: Id,
		updated_at: Nullable(Type.String({ maxLength: 40, pattern: "^[!-~]+$" })),
	}),
);
/** What a build, or a deploy begun again, is told of. */
export const isBuild = guard(Type.Object({ deploy_id: Nullable(Type.String()) }));
export const isToken = guard(Token);

/** An RFC 3339 time as a Date; null when absent, or no time. */
export function toMoment(time: string | null | undefined): Date | null {
	if (typeof time !== "string") return null;
	const moment = new Date(time);
	return Number.isNaN(moment.getTime()) ? null : moment;
}

function guard<T extends TSchema>(schema: T): (value: unknown) => value is Static<T> {
	const compiled = TypeCompiler.Compile(schema);
	return (value): value is Static<T> => compiled.Check(value);
}
