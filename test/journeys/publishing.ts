import type { Owner } from "../deliveries/webhook-server.ts";
import { until } from "../support/until.ts";
import type { Balancer } from "./balancer.ts";

/** Callers that publish one event after the other, without a pause. */
export type Publishing = {
	/** The data of each event that was taken. */
	taken: string[];
	/** Whatever else a caller got. */
	trouble: string[];
	/** Resolves when so many more were taken. */
	goOn(count: number): Promise<void>;
	/** Resolves when the last answer is there. */
	stop(): Promise<void>;
};

export function startPublishing(balancer: Balancer, owner: Owner, callers: number): Publishing {
	const path = `/v1/organizations/${owner.organizationId}/events`;
	const [taken, trouble]: [string[], string[]] = [[], []];
	let isOver = false;
	const publishing = Array.from({ length: callers }, async (_, caller) => {
		for (let count = 0; !isOver; count += 1) {
			const event = { type: "a", data: `${caller}:${count}` };
			try {
				const { status, text } = await balancer.post(path, owner.key, event);
				if (status === 202) taken.push(event.data);
				else trouble.push(`${status} ${text}`);
			} catch (error) {
				trouble.push(String(error));
			}
		}
	});
	return {
		taken,
		trouble,
		goOn: async (count) => {
			const wanted = taken.length + count;
			await until(() => taken.length >= wanted || trouble.length > 0, { what: `${count} more events` });
		},
		stop: async () => {
			isOver = true;
			await Promise.all(publishing);
		},
	};
}
