import { Ajv, type ValidateFunction } from "ajv";
import { adminOnly, scopeOf } from "../api/needed-scopes.ts";
import type { Api } from "../api/operations.ts";
import type { World } from "../api/world.ts";
import { signingSecret } from "../integrations/clerk-server.ts";
import type { Answer } from "../support/server.ts";
import type { HostileRequest } from "./requests.ts";

export type Judge = {
	/** What is wrong with an answer to a hostile request; null when the server did well. */
	faultOf(sent: HostileRequest, answer: Answer): string | null;
};

/** Words of our inside that no caller should read. */
const inside =
	/\.ts:\d|node_modules|\bat async\b|drizzle|pg_catalog|violates|duplicate key|syntax error at|ECONN|undefined|\[object |capydb_test_/;

/** A refused host ends its sentence, as the API has always said it. */
const sentence = /^\S.*[.)]$|^(?:`\w+`: )?host is not allowed: \S+$/s;

/** Fields whose text comes back as it was sent, byte for byte: clients compare it. */
const echoed = ["name", "url", "description", "slug", "event_types", "scopes", "headers", "device_name"];

export function createJudge(world: World, api: Api): Judge {
	const ajv = new Ajv({ strict: false, validateFormats: false });
	const bodies = new Map<string, ValidateFunction>();
	for (const { id, bodySchema } of api.operations) if (bodySchema) bodies.set(id, ajv.compile(bodySchema));
	const { server, mine, theirs, clerk, vercel, netlify } = world;
	const secrets = [
		mine.key,
		theirs.key,
		server.adminToken,
		clerk.secretKey,
		vercel.token,
		netlify.token,
		signingSecret,
	];
	const foreign = [...Object.values(theirs.ids), theirs.clerkOrganizationId].filter((id) =>
		/^\w+_\w/.test(id),
	);
	const rules: ((sent: HostileRequest, answer: Answer) => string | null)[] = [
		(sent, answer) => documentFault(api, sent, answer),
		statusFault,
		refusalFault,
		reachFault,
		(sent, answer) => validityFault(bodies.get(sent.operation.id), sent, answer),
		echoFault,
		(sent, answer) => leakFault({ secrets, foreign }, sent, answer),
	];
	return {
		faultOf: (sent, answer) => {
			for (const rule of rules) {
				const fault = rule(sent, answer);
				if (fault !== null) return fault;
			}
			return null;
		},
	};
}

/** OAuth's pages are for browsers and no JSON. */
function isPage({ operation }: HostileRequest): boolean {
	return /OAuth$|OAuthCallback$/.test(operation.id) && operation.isPublic;
}

function documentFault(api: Api, sent: HostileRequest, answer: Answer): string | null {
	// Said before it was known which operation was meant; its shape is judged below.
	if (answer.body?.code === "request.headers_too_large") return null;
	if (isPage(sent)) {
		const { statuses } = sent.operation;
		return statuses.includes(answer.status) ? null : `status ${answer.status} is not in the document`;
	}
	return api.faultOf(sent.operation, answer);
}

function statusFault(_sent: HostileRequest, { status, body }: Answer): string | null {
	if (status === 500) return "a 500";
	const isBusy = status === 503 && body?.code !== "server.overloaded";
	return isBusy ? "a 503 although nothing is down" : null;
}

function refusalFault(sent: HostileRequest, { status, body, text, headers }: Answer): string | null {
	if (!headers.has("x-request-id")) return "no x-request-id";
	if (sent.operation.path.startsWith("/v1/") && !isPage(sent)) {
		const isRoute = body?.code !== "route.not_found" && body?.code !== "url.invalid";
		if (isRoute && headers.get("cache-control") !== "no-store") return "may be cached";
	}
	if (status < 400 || isPage(sent)) return null;
	if (!sentence.test(body?.error ?? "")) return "its error is no sentence";
	if (!/^\w+\.[a-z_]+$/.test(body?.code ?? "")) return "its code is no code";
	return inside.test(text.replaceAll("undefined:", "")) ? "tells of our inside" : null;
}

/** Refusals from before anybody looked who asks; and of a session whose organization changed its own tie to Clerk. */
const anybody = ["route.not_found", "url.invalid", "request.headers_too_large", "organization.unknown"];

/** 401 before 404 before 403 before anything else. */
function reachFault({ operation, caller, names }: HostileRequest, { status, body }: Answer): string | null {
	if (operation.isPublic || anybody.includes(body?.code)) return null;
	const isUnknown = caller.name === "nobody" || caller.name === "garbage";
	if (status === 401 || status === 429) return isUnknown ? null : `a known caller gets ${status}`;
	if (isUnknown) return `${caller.name} gets ${status}`;
	if (status === 503) return null;
	const isForeign = caller.name === "neighbour" ? names === "mine" : names === "theirs";
	const namesThings = operation.params.some((name) => name !== "provider");
	if (caller.name !== "operator" && isForeign && namesThings && status !== 404)
		return `foreign things get ${status}`;
	return status < 300 ? excessOf(operation, caller) : null;
}

/** What a caller did although nobody gave it that right. */
function excessOf(operation: HostileRequest["operation"], { name }: HostileRequest["caller"]): string | null {
	if (adminOnly.has(operation.id) && name !== "operator") return "only the operator may do this";
	if (name === "weak" && scopeOf(operation) !== null) return "a key without the scope may do this";
	const isOrganizations = operation.params.includes("orgID");
	return name === "project" && isOrganizations ? "a key of one project may do this" : null;
}

/** What the document does not take is not taken. */
function validityFault(
	takes: ValidateFunction | undefined,
	sent: HostileRequest,
	answer: Answer,
): string | null {
	if (!takes || answer.status >= 300 || typeof sent.body !== "string") return null;
	const body = parse(sent.body);
	return body === undefined || takes(body) ? null : "took a body that its schema refuses";
}

function echoFault({ operation, body: sentBody }: HostileRequest, answer: Answer): string | null {
	if (answer.status >= 300 || typeof sentBody !== "string" || operation.isPublic) return null;
	const sent = parse(sentBody) as Record<string, unknown> | undefined;
	const { job: _, ...shown } = answer.body ?? {};
	const thing = Object.values(shown).find((each) => typeof each === "object") as
		| Record<string, unknown>
		| undefined;
	if (!sent || !thing) return null;
	const wrong = echoed.filter(
		(field) =>
			field in sent &&
			field in thing &&
			JSON.stringify(thing[field]) !== JSON.stringify(sent[field] === "" ? null : sent[field]),
	);
	return wrong.length === 0 ? null : `${wrong.join(", ")} came back changed`;
}

function leakFault(
	{ secrets, foreign }: { secrets: string[]; foreign: string[] },
	sent: HostileRequest,
	answer: Answer,
): string | null {
	const said = `${answer.text}\n${[...answer.headers].join("\n")}`;
	if (secrets.some((secret) => said.includes(secret))) return "shows a secret";
	if (["neighbour", "operator"].includes(sent.caller.name)) return null;
	// What the caller itself said is no news to it.
	const own = `${decodeURIComponent(sent.target)}${sent.body ?? ""}`;
	const leaked = foreign.filter((id) => said.includes(id) && !own.includes(id));
	return leaked.length === 0 ? null : `shows ${leaked.join(", ")} of another organization`;
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
