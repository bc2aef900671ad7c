import { monitorEventLoopDelay } from "node:perf_hooks";

export type EventLoop = {
	/** How late the loop came round of late, in milliseconds. One long turn alone does not show. */
	delayMs(): number;
	close(): void;
};

const resolutionMs = 20;
const windowMs = 500;

/** Watches how late the event loop of this process comes round: the mean of a window, the lesser of the last two. */
export function watchEventLoop(): EventLoop {
	const delays = monitorEventLoopDelay({ resolution: resolutionMs });
	delays.enable();
	let windows: [last: number, before: number] = [0, 0];
	let checkedAt = performance.now();
	const timer = setInterval(() => {
		const lateMs = performance.now() - checkedAt - windowMs;
		const meanMs = delays.count === 0 ? 0 : delays.mean / 1e6 - resolutionMs;
		windows = [Math.max(0, lateMs, meanMs), windows[0]];
		delays.reset();
		checkedAt = performance.now();
	}, windowMs);
	timer.unref();
	return {
		delayMs: () => Math.min(...windows),
		close: () => {
			clearInterval(timer);
			delays.disable();
		},
	};
}
