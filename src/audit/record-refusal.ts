import type { Context } from "../context.ts";
import { actorOf, type Principal } from "../core/principal.ts";
import { recordAudit } from "./record-audit.ts";

/** Writes down a refused attempt by a known caller, in its own organization. Does not hold up the answer. */
export function recordRefusal(
	ctx: Pick<Context, "stores" | "log">,
	principal: Principal,
	refused: { method: string; route: string; code: string },
): void {
	if (principal.kind === "admin") return;
	const { organizationId, projectId } = principal;
	recordAudit(ctx, {
		organizationId,
		projectId,
		action: "access.refused",
		actor: actorOf(principal),
		metadata: refused,
	}).catch((error: unknown) => ctx.log.warn({ err: error }, "a refused attempt could not be written down"));
}
