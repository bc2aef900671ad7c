import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance } from "fastify";

const description = `Connects CapyDB projects to deployment platforms and auth providers, and delivers signed webhooks.

Every refusal has the body of the schema \`Error\`. Lists are newest first.`;

/** Serves the OpenAPI 3.1 document, made from the routes' schemas, and a page to read and try it. */
export async function useOpenApi(app: FastifyInstance, options: { serverUrl: () => string }): Promise<void> {
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
		},
		refResolver: {
			buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `schema${index}`),
		},
	});
	app.get("/v1/openapi.json", { schema: { hide: true } }, async (_request, reply) => {
		const document = { ...app.swagger(), servers: [{ url: options.serverUrl() }] };
		return reply.type("application/json").send(JSON.stringify(document));
	});
	await app.register(swaggerUi, { routePrefix: "/docs", staticCSP: true, uiConfig: { deepLinking: true } });
}
