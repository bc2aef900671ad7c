import { type Static, Type } from "@sinclair/typebox";
import { nullable } from "../../http/wire.ts";
import type { DeploymentProvider, PlatformResource } from "../../providers/deployment-provider.ts";

export const ResourceWire = Type.Object({
	id: Type.String(),
	name: Type.String(),
	team_id: nullable(Type.String()),
	team_name: nullable(Type.String()),
});

export function toResourceWire({
	id,
	name,
	teamId,
	teamName,
}: PlatformResource): Static<typeof ResourceWire> {
	return { id, name, team_id: teamId, team_name: teamName };
}

/** The body of a connect route, which the provider's own schema has already judged. */
export function fromConnectPlatformBody(provider: DeploymentProvider, body: Record<string, unknown>) {
	const text = (field: string): string | null => {
		const value = body[field];
		return typeof value === "string" ? value : null;
	};
	return {
		target: text(provider.targetField) ?? "",
		token: text("token"),
		teamId: text("team_id"),
		previewBranches: body.preview_branches === true,
	};
}
