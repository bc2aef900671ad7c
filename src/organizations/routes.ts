import { Type } from "@sinclair/typebox";
import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import type { OrganizationId } from "../core/ids.ts";
import { actorOf } from "../core/principal.ts";
import { answers } from "../http/wire.ts";
import { createOrganization } from "./create-organization.ts";
import { getOrganization } from "./get-organization.ts";
import { createUsageReader } from "./read-usage.ts";
import { updateOrganization } from "./update-organization.ts";
import {
	CreateOrganizationBody,
	fromOrganizationBody,
	OrganizationWire,
	toOrganizationWire,
	toUsageWire,
	UpdateOrganizationBody,
	UsageWire,
} from "./wire.ts";

const tags = ["Organizations"];
const params = Type.Object({ orgID: Type.Unsafe<OrganizationId>(Type.String()) });

export function organizationRoutes(app: Api, ctx: Context): void {
	const readUsage = createUsageReader(ctx);
	app.post("/v1/organizations", {
		config: { access: { scope: null, reach: "caller", adminOnly: true } },
		schema: {
			tags,
			operationId: "createOrganization",
			body: CreateOrganizationBody,
			response: answers({ 201: Type.Object({ organization: OrganizationWire }) }),
		},
		handler: async (request, reply) => {
			const { name, ...rest } = fromOrganizationBody(request.body);
			const actor = actorOf(request.principal);
			const organization = await createOrganization(ctx, { ...rest, name: name ?? "", actor });
			return reply.code(201).send({ organization: toOrganizationWire(organization) });
		},
	});

	app.get("/v1/organizations/:orgID", {
		config: { access: { scope: "organizations:read", reach: "organization" } },
		schema: {
			tags,
			operationId: "getOrganization",
			params,
			response: answers({ 200: Type.Object({ organization: OrganizationWire }) }),
		},
		handler: async (request) => ({
			organization: toOrganizationWire(await getOrganization(ctx, request.params.orgID)),
		}),
	});

	app.patch("/v1/organizations/:orgID", {
		config: { access: { scope: "organizations:write", reach: "organization" } },
		schema: {
			tags,
			operationId: "updateOrganization",
			params,
			body: UpdateOrganizationBody,
			response: answers({ 200: Type.Object({ organization: OrganizationWire }) }),
		},
		handler: async (request) => {
			const organization = await updateOrganization(ctx, {
				organizationId: request.params.orgID,
				changes: fromOrganizationBody(request.body),
				actor: actorOf(request.principal),
			});
			return { organization: toOrganizationWire(organization) };
		},
	});

	app.get("/v1/organizations/:orgID/usage", {
		config: { access: { scope: "organizations:read", reach: "organization" } },
		schema: {
			tags,
			operationId: "getOrganizationUsage",
			params,
			response: answers({ 200: Type.Object({ usage: UsageWire }) }),
		},
		handler: async (request) => ({ usage: toUsageWire(await readUsage(request.params.orgID)) }),
	});
}
