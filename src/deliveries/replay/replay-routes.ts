import { Type } from "@sinclair/typebox";
import type { Api } from "../../app.ts";
import type { Context } from "../../context.ts";
import type { EndpointId, OrganizationId } from "../../core/ids.ts";
import { actorOf } from "../../core/principal.ts";
import { answers } from "../../http/wire.ts";
import { toJobWire } from "../../jobs/wire.ts";
import { fromReplayBody, MatchedWire, ReplayBody, ReplayWire, toMatchedWire } from "./replay-wire.ts";
import { countReplay, requestReplay } from "./request-replay.ts";

const params = Type.Object({
	orgID: Type.Unsafe<OrganizationId>(Type.String()),
	endpointID: Type.Unsafe<EndpointId>(Type.String()),
});

export function replayRoutes(app: Api, ctx: Context): void {
	app.post("/v1/organizations/:orgID/webhook-endpoints/:endpointID/replay", {
		config: { access: { scope: "organizations:write", reach: "organization" } },
		schema: {
			tags: ["Webhooks"],
			operationId: "replayWebhookEndpoint",
			params,
			body: ReplayBody,
			response: answers({ 200: MatchedWire, 202: ReplayWire }),
		},
		handler: async (request, reply) => {
			const { orgID: organizationId, endpointID: endpointId } = request.params;
			const wanted = fromReplayBody(request.body);
			const input = { organizationId, endpointId, wanted, actor: actorOf(request.principal) };
			if (request.body.dry_run) return reply.code(200).send(toMatchedWire(await countReplay(ctx, input)));
			const { job, ...matched } = await requestReplay(ctx, input);
			return reply.code(202).send({ job: toJobWire(job), ...toMatchedWire(matched) });
		},
	});
}
