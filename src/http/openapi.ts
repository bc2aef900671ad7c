import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance, FastifySchema } from "fastify";
import { memberScopes } from "../core/principal.ts";
import type { Access } from "./access.ts";

const description = `Connects CapyDB projects to deployment platforms and auth providers, and delivers signed webhooks.

Every refusal has the body of the schema \`Error\`. Lists are newest first.`;

type Schema = Pick<FastifySchema, "description" | "security">;

type OpenApiOptions = {
	serverUrl: () => string;
	/** What the server sends: a type, and its body's JSON Schema and example. */
	webhooks: readonly { type: string; description: string; schema: object; example: unknown }[];
};

/** Serves the OpenAPI 3.1 document, made from the routes' schemas, and a page to read and try it. */
export async function useOpenApi(app: FastifyInstance, options: OpenApiOptions): Promise<void> {
	await app.register(swagger, {
		openapi: {
			openapi: "3.1.0",
			info: { title: "CapyDB Integrations & Webhooks", version: "1.0.0", description },
			components: {
				securitySchemes: {
					bearer: { type: "http", scheme: "bearer", description: "An API key, `capy_live_…`." },
					apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
				},
			},
			security: [{ bearer: [] }, { apiKey: [] }],
			webhooks: Object.fromEntries(options.webhooks.map(describeWebhook)),
		},
		transform: ({ schema, url, route }) => ({
			url,
			schema: withAccess(schema, route.config?.access),
		}),
		refResolver: {
			buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `schema${index}`),
		},
	});
	app.get("/v1/openapi.json", { schema: { hide: true } }, async (_request, reply) => {
		const document = { ...withOptionalBodies(app.swagger()), servers: [{ url: options.serverUrl() }] };
		return reply.type("application/json").send(JSON.stringify(document));
	});
	await app.register(swaggerUi, { routePrefix: "/docs", staticCSP: true, uiConfig: { deepLinking: true } });
}

/** What the route says of itself, and behind that what it asks of its caller. */
function withAccess(schema: Schema, access: Access | undefined): Schema {
	const asked = describeAccess(access);
	const description = [schema?.description, asked.description].filter(Boolean).join(" ");
	return { ...asked, ...schema, ...(description === "" ? {} : { description }) };
}

/** What a route asks of its caller: for readers in words, for tools as the roles of OpenAPI 3.1. */
function describeAccess(access: Access | undefined): Schema {
	if (!access) return {};
	const reach = access.reach === "organization" ? " Closed to keys of one project." : "";
	if (access.adminOnly) return { description: "Needs the operator's admin token." };
	if (access.scope === null) return { description: `Open to every known caller.${reach}` };
	const isForMembers = memberScopes.includes(access.scope) && !access.organizationAdminOnly;
	const people = isForMembers ? "members and admins" : "admins only";
	return {
		description: `Needs the scope \`${access.scope}\`. Of people signed in: ${people}.${reach}`,
		security: [{ bearer: [access.scope] }, { apiKey: [access.scope] }],
	};
}

/** A body that has to hold nothing may be left out. */
function withOptionalBodies<Document extends { paths?: object }>(document: Document): Document {
	const copy = structuredClone(document);
	type Operation = {
		requestBody?: { required?: boolean; content: Record<string, { schema?: Record<string, unknown> }> };
	};
	const operations = Object.values(copy.paths ?? {}).flatMap((path) => Object.values(path as object));
	for (const { requestBody } of operations as Operation[]) {
		const schema = requestBody?.content["application/json"]?.schema;
		if (requestBody && schema) requestBody.required = "required" in schema || "if" in schema;
	}
	return copy;
}

function describeWebhook({
	type,
	description: summary,
	schema,
	example,
}: OpenApiOptions["webhooks"][number]) {
	const operation = {
		summary,
		tags: ["Events"],
		requestBody: { content: { "application/json": { schema, example } } },
		responses: { "2XX": { description: "Received; anything else is tried again." } },
	};
	return [type, { post: operation }];
}
