import type { Api } from "../app.ts";
import type { Context } from "../context.ts";
import { answers } from "../http/wire.ts";
import { getOrganization } from "../organizations/get-organization.ts";
import { toOrganizationWire } from "../organizations/wire.ts";
import { MeAnswer, toPrincipalWire } from "./wire.ts";

/** Who the caller is to us. */
export function meRoutes(app: Api, ctx: Context): void {
	app.get("/v1/me", {
		config: { access: { scope: null, reach: "caller" } },
		schema: { tags: ["Caller"], operationId: "getMe", response: answers({ 200: MeAnswer }) },
		handler: async ({ principal }) => {
			const organization =
				principal.kind === "admin" ? null : await getOrganization(ctx, principal.organizationId);
			return {
				organization: organization && toOrganizationWire(organization),
				principal: toPrincipalWire(principal),
			};
		},
	});
}
