import { until } from "../support/until.ts";
import type { Arrival } from "./checking-receiver.ts";
import type { Story } from "./story.ts";

/** An endpoint at the receiver, for every event of the organization; the receiver learns its secret. */
export async function createEndpoint({ call, organizationId, receiver }: Story): Promise<string> {
	const created = await call("POST", `/v1/organizations/${organizationId}/webhook-endpoints`, {
		body: { url: receiver.url, description: "the demo's receiver" },
		expect: 201,
	});
	receiver.trust(created.plaintext_secret);
	return created.webhook_endpoint.id;
}

/** Connects the project to Clerk. Returns the integration, and the job that mirrors its users. */
export async function connectClerk({ call, projectId, clerk, signingSecret }: Story) {
	const { integration, job } = await call("POST", `/v1/projects/${projectId}/integrations/clerk/connect`, {
		body: { secret_key: clerk.secretKey, webhook_signing_secret: signingSecret },
		expect: 201,
	});
	return {
		jobId: String(job.id),
		state: String(integration.state),
		webhookReceiver: String(integration.config.webhook_receiver),
	};
}

/** Polls a job as a client does until it has ended: its state, and its step log, line by line. */
export async function endOfJob({ call }: Story, jobId: string): Promise<{ state: string; steps: string[] }> {
	const job = await until(
		async () => {
			const answer = await call("GET", `/v1/jobs/${jobId}`);
			return ["completed", "failed"].includes(answer.job.state) ? answer.job : null;
		},
		{ everyMs: 100, what: `the end of ${jobId}` },
	);
	return { state: job.state, steps: `${job.last_stdout ?? ""}\n${job.last_stderr ?? ""}`.trim().split("\n") };
}

/** How many users the project's own database holds. */
export async function countUsers({ sql }: Story): Promise<number> {
	const [row] = await sql("select count(*)::int as users from capydb_auth.users where deleted_at is null");
	return Number(row?.users);
}

/** The first accepted delivery that fits, as soon as it has arrived. Throws when a delivery was refused. */
export function accepted(
	{ receiver }: Story,
	type: string,
	fits: (arrival: Arrival) => boolean = () => true,
): Promise<Arrival> {
	const find = () => {
		if (receiver.faults[0] !== undefined) throw new Error(receiver.faults[0]);
		return (
			receiver.arrivals.find((each) => each.type === type && each.answered === 200 && fits(each)) ?? null
		);
	};
	return until(find, { what: `${type} at the receiver` });
}
