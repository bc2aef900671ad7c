import { actorOf } from "../core/principal.ts";
import { requireBody } from "../http/schemas.ts";
import { createOrganization } from "../organizations/create-organization.ts";
import { CreateOrganizationBody, fromOrganizationBody, toOrganizationWire } from "../organizations/wire.ts";
import { type Command, given } from "./command.ts";
import { withContext } from "./open-context.ts";

export const createOrganizationCommand: Command = {
	summary: "makes an organization",
	options: {
		name: { value: "name", help: "its name", isRequired: true },
		slug: { value: "slug", help: "default: made from the name" },
		"clerk-organization-id": { value: "id", help: "the Clerk organization whose members belong to it" },
	},
	run: (options, surroundings) =>
		withContext(surroundings, async (ctx) => {
			const body = requireBody(
				CreateOrganizationBody,
				given({
					name: options.text("name"),
					slug: options.text("slug"),
					clerk_organization_id: options.text("clerk-organization-id"),
				}),
			);
			const { name = "", ...rest } = fromOrganizationBody(body);
			const organization = await createOrganization(ctx, {
				...rest,
				name,
				actor: actorOf({ kind: "admin" }),
			});
			return {
				text: `Made the organization ${organization.id} (${organization.slug}).`,
				json: { organization: toOrganizationWire(organization) },
			};
		}),
};
