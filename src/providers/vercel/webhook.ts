import { createHmac } from "node:crypto";
import { equalDigests } from "../../core/equality.ts";
import type { Deployment, DeploymentState, PlatformEvent } from "../deployment-provider.ts";
import type { InboundEvent, WebhookHeaders, WebhookVerdict } from "../provider.ts";
import { keyOfText } from "../signatures.ts";
import { describeCommit } from "./commit.ts";
import { redactEvent } from "./redact.ts";
import { isEvent, isEventPayload, toMoment, type VercelEvent, type VercelEventPayload } from "./wire.ts";

/** The events that say something of a deployment's state, with the names of older webhooks. */
const states = new Map<string, DeploymentState>([
	["deployment.created", "created"],
	["deployment.ready", "ready"],
	["deployment.succeeded", "ready"],
	["deployment.error", "failed"],
	["deployment.canceled", "canceled"],
	["deployment.promoted", "promoted"],
	["deployment", "created"],
	["deployment-ready", "ready"],
	["deployment-error", "failed"],
	["deployment-canceled", "canceled"],
]);

/**
 * Judges `x-vercel-signature`: lower-case hex HMAC-SHA1 of the raw body, without prefix or time
 * (vercel.com/docs/webhooks/webhooks-api). A delivery that is repeated is as genuine as the first.
 */
export function verifyWebhook(input: {
	rawBody: Buffer;
	headers: WebhookHeaders;
	secrets: readonly string[];
}): WebhookVerdict {
	const header = input.headers["x-vercel-signature"];
	const signature = Array.isArray(header) && header.length === 1 ? header[0] : header;
	if (signature === undefined || signature === "") return "missing_signature";
	if (typeof signature !== "string") return "bad_signature";
	// Under an empty key anyone can sign.
	const expected = input.secrets.flatMap((secret) => (secret === "" ? [] : [sign(secret, input.rawBody)]));
	return expected.some((right) => equalDigests(signature, right)) ? "genuine" : "bad_signature";
}

/** Reads a genuine webhook; null when it is no envelope with an id, a type and a payload. */
export function readWebhook({ rawBody }: { rawBody: Buffer }): PlatformEvent | null {
	const event = parseEvent(rawBody);
	if (event === null) return null;
	const payload = isEventPayload(event.payload) ? event.payload : {};
	const deploymentId = payload.deployment?.id;
	return {
		providerEventId: event.id,
		// No source shows two tries of one event, so that the id may be the delivery's.
		alternateEventId:
			deploymentId === undefined || typeof event.createdAt !== "number"
				? null
				: `${event.type}:${deploymentId}:${event.createdAt}`,
		type: event.type,
		instance: projectOf(payload),
		occurredAt: toMoment(event.createdAt),
		document: redactEvent(event),
	};
}

/** What a stored document says of a deployment. The payload names no state: it is that of the event's type. */
export function interpret({
	type,
	document,
	occurredAt,
}: Pick<InboundEvent, "type" | "document" | "occurredAt">): Deployment | null {
	const state = states.get(type);
	const { payload } = document;
	if (state === undefined || !isEventPayload(payload) || !payload.deployment) return null;
	const { deployment, links } = payload;
	return {
		id: deployment.id,
		targetId: projectOf(payload),
		state,
		...contextOf(state, payload.target, deployment.customEnvironmentId),
		...describeCommit(deployment.meta ?? {}),
		url: withScheme(deployment.url),
		inspectUrl: withScheme(deployment.inspectorUrl ?? links?.deployment),
		errorCode: null,
		createdAt: state === "created" ? occurredAt : null,
		occurredAt,
	};
}

/** Without a target a deployment is a preview, but for a promotion: only production is promoted, and no target is named. */
export function contextOf(
	state: DeploymentState,
	target: string | null | undefined,
	customEnvironmentId: string | null | undefined,
): Pick<Deployment, "context" | "isPreview"> {
	if (customEnvironmentId) return { context: target ?? "custom", isPreview: false };
	if (state === "promoted") return { context: target ?? "production", isPreview: false };
	// Some clients write the default out.
	const isPreview = target === null || target === undefined || target === "preview";
	return { context: isPreview ? "preview" : target, isPreview };
}

/** Vercel writes hosts without a scheme; anything that is no web address then is left out. */
export function withScheme(url: string | null | undefined): string | null {
	if (!url) return null;
	const parsed = URL.parse(/^https?:\/\//.test(url) ? url : `https://${url}`);
	return parsed === null ? null : parsed.href.replace(/\/$/, "");
}

function sign(secret: string, rawBody: Buffer): string {
	return createHmac("sha1", keyOfText(secret)).update(rawBody).digest("hex");
}

function parseEvent(rawBody: Buffer): VercelEvent | null {
	try {
		const json: unknown = JSON.parse(rawBody.toString("utf8"));
		return isEvent(json) ? json : null;
	} catch {
		return null;
	}
}

function projectOf(payload: VercelEventPayload): string | null {
	return payload.project?.id ?? payload.projectId ?? null;
}
