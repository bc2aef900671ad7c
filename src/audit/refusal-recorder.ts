import type { Context } from "../context.ts";
import { actorOf, type Principal } from "../core/principal.ts";
import { type AuditInput, recordAudits } from "./record-audit.ts";

export type Refused = { method: string; route: string; code: string };

export type RefusalRecorder = {
	/** Notes a refused attempt by a known caller, for its own organization. Costs no more than memory. */
	record(principal: Principal, refused: Refused): void;
	/** Writes all that is noted. */
	flush(): Promise<void>;
};

/** What one caller is refused at one route for one reason. */
type Noted = {
	refusal: AuditInput;
	/** Since the last row. */
	times: number;
	/** Until then nothing is written of it. */
	restsUntil: number;
};

const flushEveryMs = 1_000;
const restMs = 60_000;
/** All of it goes into one statement; beyond it nothing is noted. */
const notedMax = 5_000;

/**
 * Writes refused attempts down: what is new within a second, what is tried again and again once a minute, with how
 * many `times`. Anyone with a key can cause them, and rows are kept for ever.
 */
export function createRefusalRecorder(ctx: Pick<Context, "stores" | "log">): RefusalRecorder {
	const noted = new Map<string, Noted>();
	let timer: NodeJS.Timeout | undefined;
	let flushing = Promise.resolve();
	const flush = async (isLast: boolean) => {
		clearTimeout(timer);
		timer = undefined;
		const due = takeDue(noted, isLast ? Number.POSITIVE_INFINITY : performance.now());
		if (noted.size > 0 && !isLast) schedule();
		if (due.length === 0) return;
		await recordAudits(ctx, due).catch((error: unknown) =>
			ctx.log.warn({ err: error, rows: due.length }, "refused attempts could not be written down"),
		);
	};
	const schedule = () => {
		timer ??= setTimeout(() => {
			flushing = flushing.then(() => flush(false));
		}, flushEveryMs).unref();
	};
	return {
		record: (principal, refused) => {
			if (principal.kind === "admin") return;
			const { organizationId, projectId } = principal;
			const actor = actorOf(principal);
			const key = JSON.stringify([organizationId, actor, refused]);
			const known = noted.get(key);
			if (known) known.times += 1;
			else if (noted.size < notedMax) {
				const refusal = { organizationId, projectId, action: "access.refused", actor, metadata: refused };
				noted.set(key, { refusal, times: 1, restsUntil: 0 });
			}
			schedule();
		},
		flush: async () => {
			await flushing;
			await flush(true);
		},
	};
}

/** What is to be written at that moment. What has rested and was not tried again is forgotten. */
function takeDue(noted: Map<string, Noted>, now: number): AuditInput[] {
	const due: AuditInput[] = [];
	for (const [key, each] of noted) {
		if (each.restsUntil > now) continue;
		const { refusal, times } = each;
		if (times === 0) noted.delete(key);
		else due.push(times === 1 ? refusal : { ...refusal, metadata: { ...refusal.metadata, times } });
		each.times = 0;
		each.restsUntil = now + restMs;
	}
	return due;
}
