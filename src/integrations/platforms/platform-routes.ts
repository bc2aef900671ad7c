import { Type } from "@sinclair/typebox";
import type { Api } from "../../app.ts";
import type { Context } from "../../context.ts";
import type { ProjectId } from "../../core/ids.ts";
import { actorOf } from "../../core/principal.ts";
import { answers } from "../../http/wire.ts";
import { JobWire, toJobWire } from "../../jobs/wire.ts";
import type { DeploymentProvider } from "../../providers/deployment-provider.ts";
import { operationName } from "../find-provider.ts";
import { IntegrationWire, toIntegrationWire } from "../wire.ts";
import { connectPlatform } from "./connect-platform.ts";
import { fromConnectPlatformBody } from "./platform-wire.ts";

/** One connect route for each name of each deployment platform; only the first name is documented. */
export function platformRoutes(app: Api, ctx: Context): void {
	for (const provider of ctx.providers.deployment) {
		for (const [at, pathName] of provider.pathNames.entries()) {
			connectRoute(app, ctx, { provider, pathName, isMain: at === 0 });
		}
	}
}

type ConnectRoute = { provider: DeploymentProvider; pathName: string; isMain: boolean };

function connectRoute(app: Api, ctx: Context, { provider, pathName, isMain }: ConnectRoute): void {
	app.post(`/v1/projects/:projectID/integrations/${pathName}/connect`, {
		config: { access: { scope: "projects:write", reach: "project" } },
		schema: {
			tags: ["Integrations"],
			...(isMain ? { operationId: `connect${operationName(provider)}` } : { hide: true }),
			params: Type.Object({ projectID: Type.Unsafe<ProjectId>(Type.String()) }),
			body: Type.Unsafe<Record<string, unknown>>(provider.connectBody),
			response: answers({
				201: Type.Object({ integration: IntegrationWire, job: JobWire }),
				502: Type.Ref("Error", { description: "The platform cannot be reached just now." }),
			}),
		},
		handler: async (request, reply) => {
			const { integration, job } = await connectPlatform(ctx, {
				projectId: request.params.projectID,
				provider,
				...fromConnectPlatformBody(provider, request.body),
				actor: actorOf(request.principal),
			});
			return reply.code(201).send({ integration: toIntegrationWire(ctx, integration), job: toJobWire(job) });
		},
	});
}
