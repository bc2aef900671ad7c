import type { SpanStart } from "../core/tracing.ts";
import type { InboundWebhook } from "./inbound-webhook.ts";

/** How the applying of an integration's webhooks is traced; what is applied together is one span. */
export function applySpan(webhooks: readonly InboundWebhook[]): SpanStart {
	const [first, ...others] = webhooks;
	return {
		name: "apply webhooks",
		kind: "internal",
		attributes: {
			...(first && {
				"capydb.provider": first.provider,
				"capydb.organization_id": first.organizationId,
				"capydb.project_id": first.projectId,
				"capydb.integration_id": first.integrationId,
			}),
			...(first && others.length === 0
				? { "messaging.message.id": first.id }
				: { "messaging.batch.message_count": webhooks.length }),
		},
	};
}
