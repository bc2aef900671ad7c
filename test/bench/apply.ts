import type { Case, Row } from "./case.ts";
import { percentile } from "./measure.ts";
import { openMirroredProject } from "./mirrored-project.ts";

const perSecond = 200;

/** From sending a webhook until its user's row is committed, at 200 a second; beside it a bare INSERT of the row. */
export const apply: Case = async ({ site, isQuick, say }) => {
	const project = await openMirroredProject(site, "apply");
	// Told at the commit, so what is measured is when others can see the row.
	await project.sql(`create function tell() returns trigger language plpgsql as
		$$begin perform pg_notify('user_written', new.id); return null; end$$`);
	await project.sql(
		"create trigger tell after insert on capydb_auth.users for each row execute function tell()",
	);
	const { databaseUrl, receiverUrl: url, signingSecret: secret } = project;
	const webhooks = (seconds: number) =>
		project.clerk.call("paceWebhooks", { url, secret, databaseUrl, perSecond, seconds });
	const inserts = (seconds: number) => project.clerk.call("paceInserts", { databaseUrl, perSecond, seconds });
	await webhooks(2);
	const ours: number[] = [];
	const bare: number[] = [];
	for (let round = 0; round < 2; round++) {
		bare.push(...(await inserts(isQuick ? 3 : 10)));
		ours.push(...(await webhooks(isQuick ? 3 : 10)));
		say(`apply: round ${round + 1}: p50 ${percentile(ours, 50).toFixed(1)} ms so far`);
	}
	await project.stop();
	return [50, 99].map((percent): Row => {
		const [own, other] = [percentile(ours, percent), percentile(bare, percent)];
		return {
			name: `apply at ${perSecond} webhooks/s, p${percent}`,
			measured: `${own.toFixed(1)} ms; bare INSERT ${other.toFixed(1)} ms`,
			ratio: own / other,
			goal: "",
			isMet: null,
			limit: "",
		};
	});
};
