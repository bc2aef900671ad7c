import type { Context } from "../context.ts";
import { invalid } from "../core/errors.ts";
import { isId, type OrganizationId, type ProjectId } from "../core/ids.ts";
import { checkEndpointUrl } from "./check-endpoint-url.ts";
import type { EndpointInput, WebhookEndpoint } from "./endpoint.ts";
import { checkCustomHeaders } from "./header-rules.ts";

type Checked = { projectId?: ProjectId | null };

/**
 * Checks the address and the project that a caller set: the URL's form, that its host may be reached, that the
 * project is one of the organization. Asks DNS, so call it outside any transaction. Throws a 400 that names the field.
 */
export async function checkEndpointInput(
	ctx: Pick<Context, "stores" | "webhookGuard">,
	organizationId: OrganizationId,
	input: EndpointInput,
): Promise<Checked> {
	if (input.url !== undefined) await checkEndpointUrl(input.url, ctx.webhookGuard);
	if (input.projectId === undefined) return {};
	if (input.projectId === null) return { projectId: null };
	const project = isId("prj", input.projectId) ? await ctx.stores.projects.find(input.projectId) : null;
	if (project?.organizationId !== organizationId) {
		throw invalid("project_id", "`project_id` is not a project of this organization.");
	}
	return { projectId: project.id };
}

/**
 * Checks the headers that a caller set against `checkCustomHeaders`; `current` has the field that stays. Throws a 400
 * that names the field.
 */
export function checkEndpointHeaders(input: EndpointInput, current?: WebhookEndpoint): void {
	const { headers = current?.headers ?? {}, secretHeaders = withoutValues(current) } = input;
	if (input.headers) checkCustomHeaders("headers", headers, secretHeaders);
	if (input.secretHeaders) checkCustomHeaders("secret_headers", secretHeaders, headers);
}

/** The secret headers as they count for the rules that hold for both fields together: by their names. */
function withoutValues(endpoint: WebhookEndpoint | undefined): Record<string, string> {
	return Object.fromEntries((endpoint?.secretHeaderNames ?? []).map((name) => [name, ""]));
}
