import { DeploymentWire } from "./deployments/wire.ts";
import * as example from "./event-examples.ts";
import { type CatalogueType, type EventType, publisherTypes, serverTypes } from "./events/event-types.ts";
import { IntegrationWire } from "./integrations/wire.ts";
import { JobWire } from "./jobs/wire.ts";
import { PreviewWire } from "./previews/wire.ts";
import { ProjectWire } from "./projects/wire.ts";
import { UserWire } from "./user-sync/wire.ts";

type Entry = {
	description: string;
	/** JSON Schema of `data`. */
	data: object;
	example: unknown;
};

/** The catalogue of events: what `/v1/webhook-event-types` and the `webhooks` of the OpenAPI document show. */
export function eventCatalogue(): EventType[] {
	return [...serverTypes, ...publisherTypes].map((type) => {
		const { description, data, example: shown } = entries[type];
		return {
			type,
			description,
			publishedBy: (serverTypes as readonly string[]).includes(type) ? "server" : "publisher",
			schema: { $schema: "https://json-schema.org/draft/2020-12/schema", ...envelopeSchema(type, data) },
			example: example.envelope(type, shown),
		};
	});
}

const text = { type: "string" };
const textOrNull = { type: ["string", "null"] };
const time = { type: "string", description: "RFC 3339, UTC, with milliseconds." };

const ofJob = allOf({ job: JobWire });
const ofProject = allOf({ project: ProjectWire });
const ofPreview = allOf({ preview: PreviewWire });
const ofIntegration = allOf({ integration: IntegrationWire });
const ofDeployment = allOf({ deployment: DeploymentWire });
const ofUser = allOf({ provider: text, user_id: text, project_id: text, user: UserWire });
const failedEndpoint = { endpoint_id: text, url: text, name: textOrNull };
/** What publishers say in these is theirs. */
const ofPublisher = { type: "object", description: "As its publisher sent it." };

const deployment = (description: string, state: string): Entry => ({
	description,
	data: ofDeployment,
	example: { deployment: { ...example.deployment, state, ...(state === "ready" ? {} : { ready_at: null }) } },
});

const user = (description: string, deletedAt: string | null): Entry => ({
	description,
	data: ofUser,
	example: {
		provider: example.user.provider,
		user_id: example.user.id,
		project_id: example.project.id,
		user: { ...example.user, deleted_at: deletedAt },
	},
});

const entries: Record<CatalogueType, Entry> = {
	"job.completed": { description: "A job succeeded.", data: ofJob, example: { job: example.job } },
	"job.failed": { description: "A job failed for good.", data: ofJob, example: { job: example.failedJob } },
	"project.ready": {
		description: "A project's database can be used.",
		data: ofProject,
		example: { project: example.project },
	},
	"project.deleted": {
		description: "A project was deleted.",
		data: ofProject,
		example: { project: { ...example.project, state: "deleting" } },
	},
	"preview.ready": {
		description: "A preview database can be used.",
		data: ofPreview,
		example: { preview: example.preview },
	},
	"preview.deleted": {
		description: "A preview database was deleted, by hand or at the end of its time.",
		data: ofPreview,
		example: { preview: { ...example.preview, state: "deleting" } },
	},
	"credentials.rotated": {
		description: "A project's role has a new password.",
		data: ofProject,
		example: { project: example.project },
	},
	"integration.connected": {
		description: "A project was connected to a provider.",
		data: ofIntegration,
		example: { integration: example.integration },
	},
	"integration.disconnected": {
		description: "A project was disconnected from a provider.",
		data: ofIntegration,
		example: { integration: { ...example.integration, state: "disabled", has_credentials: false } },
	},
	"integration.error": {
		description: "An integration does not work any more.",
		data: allOf({ integration: IntegrationWire, error: text }),
		example: { integration: { ...example.integration, state: "error" }, error: example.failedJob.error },
	},
	"deployment.created": deployment("A platform began a deployment.", "building"),
	"deployment.ready": deployment("A deployment is up.", "ready"),
	"deployment.failed": deployment("A deployment failed.", "failed"),
	"deployment.canceled": deployment("A deployment was canceled.", "canceled"),
	"deployment.promoted": deployment("A deployment was made the production one.", "promoted"),
	"user.created": user("A user appeared at the auth provider.", null),
	"user.updated": user("A user changed at the auth provider.", null),
	"user.deleted": user("A user was deleted at the auth provider.", example.project.updated_at),
	"endpoint.disabled": {
		description: "The server made an endpoint inactive. Goes only to endpoints that name this type.",
		data: allOf({ ...failedEndpoint, reason: { enum: ["gone", "failing"] }, disabled_reason: text }),
		example: {
			...example.failedEndpoint,
			reason: "gone",
			disabled_reason: "The receiver answered 410 Gone.",
		},
	},
	"delivery.exhausted": {
		description:
			"Deliveries to an endpoint failed for good. At most once an endpoint and hour; only to endpoints that name it.",
		data: allOf({
			...failedEndpoint,
			count: { type: "integer", minimum: 1 },
			first_delivery_id: text,
			last_delivery_id: text,
		}),
		example: {
			...example.failedEndpoint,
			count: 12,
			first_delivery_id: "whd_01kg9v3v00e11s8000000000b1",
			last_delivery_id: "whd_01kg9v3v00e11s8000000000b2",
		},
	},
	"webhook.test": {
		description: "A person asked for a test of an endpoint.",
		data: allOf({ endpoint_id: text, message: text }),
		example: {
			endpoint_id: example.failedEndpoint.endpoint_id,
			message: "This is a test of your webhook endpoint.",
		},
	},
	"backup.completed": published("A backup was made.", { backup_id: "nightly-2026-01-31" }),
	"import.completed": published("Data was imported.", { rows: 1204 }),
	"restore.completed": published("A backup was restored.", { backup_id: "nightly-2026-01-31" }),
	"alert.triggered": published("A limit was passed.", { alert: "disk", value: 0.93 }),
	"alert.resolved": published("A limit is kept again.", { alert: "disk", value: 0.61 }),
};

function published(description: string, shown: object): Entry {
	return { description, data: ofPublisher, example: shown };
}

function envelopeSchema(type: string, data: object): object {
	return allOf({ id: text, type: { const: type }, created_at: time, data });
}

/** An object that has all of these members, and may have more. */
function allOf(properties: Record<string, object>): object {
	return { type: "object", required: Object.keys(properties), properties };
}
