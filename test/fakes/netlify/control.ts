import type { NetlifyDeploy } from "../../fixtures/netlify/deploys.ts";
import { type Answer, type NetlifyState, refusal } from "./state.ts";

/**
 * What a person does at Netlify, for a fake that runs as a process of its own:
 * `POST /_control/deploys` with fields of a deploy and optionally `event`; `POST /_control/faults` with `status`,
 * `times`, `text`; `POST /_control/tokens/{token}/revoke`; `POST /_control/hooks/{id}/drop` and `/disable`;
 * `PATCH /_control/quirks`; `GET /_control/state`.
 */
export function answerControl(
	state: NetlifyState,
	request: { method: string; path: string; body: unknown },
	report: (changes: Partial<NetlifyDeploy>, event?: string) => NetlifyDeploy,
): Answer {
	const [noun, id = "", verb] = request.path.slice("/_control/".length).split("/");
	const body = (request.body ?? {}) as Record<string, unknown>;
	switch (`${request.method} ${noun}${verb === undefined ? "" : ` ${verb}`}`) {
		case "GET state":
			return { status: 200, body: shownState(state) };
		case "POST deploys": {
			const { event, ...changes } = body;
			const [site] = state.sites.keys();
			const deploy = { site_id: site ?? "", ...changes };
			return { status: 201, body: report(deploy, typeof event === "string" ? event : undefined) };
		}
		case "POST faults": {
			const { status = 500, times = 1, text } = body;
			const answer = typeof text === "string" ? { text } : refusal(Number(status), "Something went wrong");
			state.faults.push({ times: Number(times), answer: { ...answer, status: Number(status) } });
			return { status: 204 };
		}
		case "POST tokens revoke":
			return { status: state.tokens.delete(id) ? 204 : 404 };
		case "POST hooks drop":
			return { status: state.hooks.delete(id) ? 204 : 404 };
		case "POST hooks disable": {
			const hook = state.hooks.get(id);
			if (hook === undefined) return { status: 404 };
			hook.disabled = true;
			return { status: 204 };
		}
		case "PATCH quirks":
			Object.assign(state.quirks, body);
			return { status: 200, body: state.quirks };
		default:
			return refusal(404, "Not Found");
	}
}

function shownState(state: NetlifyState) {
	return {
		hooks: [...state.hooks.values()],
		variables: Object.fromEntries([...state.variables].map(([place, all]) => [place, [...all.values()]])),
		deploys: state.deploys,
		requests: state.exchanges.map(({ method, path, status }) => `${method} ${path} ${status}`),
	};
}
