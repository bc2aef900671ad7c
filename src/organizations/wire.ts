import { type Static, Type } from "@sinclair/typebox";
import { nullable, Slug, Timestamp, text } from "../http/wire.ts";
import type { Organization } from "./organization.ts";
import type { UsageReport } from "./read-usage.ts";

export const OrganizationWire = Type.Object({
	id: Type.String(),
	name: Type.String(),
	slug: Type.String(),
	clerk_organization_id: nullable(Type.String()),
	billing_plan: Type.Literal("self_hosted"),
	billing_provider: Type.Literal("none"),
	billing_status: Type.Literal("active"),
	created_at: Timestamp,
	updated_at: Timestamp,
});

export function toOrganizationWire(organization: Organization): Static<typeof OrganizationWire> {
	return {
		id: organization.id,
		name: organization.name,
		slug: organization.slug,
		clerk_organization_id: organization.clerkOrganizationId,
		billing_plan: "self_hosted",
		billing_provider: "none",
		billing_status: "active",
		created_at: organization.createdAt.toISOString(),
		updated_at: organization.updatedAt.toISOString(),
	};
}

const name = text({ minLength: 1, maxLength: 100 });
const clerkOrganizationId = nullable(
	Type.String({
		minLength: 1,
		maxLength: 100,
		pattern: "^[A-Za-z0-9_]+$",
		description: "Whose people sign in here. Only the operator's admin token may change it.",
	}),
);

export const CreateOrganizationBody = Type.Object(
	{ name, slug: Type.Optional(Slug), clerk_organization_id: Type.Optional(clerkOrganizationId) },
	{ additionalProperties: false },
);

export const UpdateOrganizationBody = Type.Object(
	{
		name: Type.Optional(name),
		slug: Type.Optional(Slug),
		clerk_organization_id: Type.Optional(clerkOrganizationId),
	},
	{ additionalProperties: false },
);

export const UsageWire = Type.Object({
	period_start: Timestamp,
	projects: Type.Integer(),
	preview_databases: Type.Integer(),
	webhook_endpoints: Type.Integer(),
	events: Type.Integer(),
	deliveries: Type.Integer(),
	counted_until: {
		...Timestamp,
		description:
			"Events and deliveries that were made up to then are counted: to the present, unless they are so many that counting goes on when asked again.",
	},
});

export function toUsageWire({ usage, periodStart, countedUntil }: UsageReport): Static<typeof UsageWire> {
	return {
		period_start: periodStart.toISOString(),
		projects: usage.projects,
		preview_databases: usage.previewDatabases,
		webhook_endpoints: usage.webhookEndpoints,
		events: usage.events,
		deliveries: usage.deliveries,
		counted_until: countedUntil.toISOString(),
	};
}

export function fromOrganizationBody(
	body: Static<typeof UpdateOrganizationBody>,
): Partial<Pick<Organization, "name" | "slug" | "clerkOrganizationId">> {
	return {
		...(body.name === undefined ? {} : { name: body.name }),
		...(body.slug === undefined ? {} : { slug: body.slug }),
		...(body.clerk_organization_id === undefined ? {} : { clerkOrganizationId: body.clerk_organization_id }),
	};
}
