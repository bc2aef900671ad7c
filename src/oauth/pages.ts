import { createHash } from "node:crypto";

/** The pages that a browser ends on, whole and without scripts. Everything that is shown is escaped here. */

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem;color:#1c1c1c}
dt{color:#666}dd{margin:0 0 .7rem;font-weight:600}button{font:inherit;padding:.5rem 1.2rem;margin-right:.6rem}
@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}dt{color:#aaa}}`;

/** The only style that these pages may have, as their content security policy names it. */
export const styleHash = `sha256-${createHash("sha256").update(style).digest("base64")}`;

type Confirmation = {
	provider: string;
	account: string;
	organization: string;
	project: string;
	action: string;
	confirmation: string;
};

/** Asks the person at a browser that did not begin the flow. */
export function confirmationPage(input: Confirmation): string {
	const { provider, account, organization, project, action, confirmation } = input;
	return page(
		`Connect ${provider} to CapyDB?`,
		`<p>Whoever may change this project will be able to use your ${escaped(provider)} account through CapyDB. Go on
only if you or your team asked for it.</p>
<dl><dt>${escaped(provider)} account</dt><dd>${escaped(account)}</dd>
<dt>CapyDB organization</dt><dd>${escaped(organization)}</dd>
<dt>CapyDB project</dt><dd>${escaped(project)}</dd></dl>
<form method="post" action="${escaped(action)}"><input type="hidden" name="confirmation" value="${escaped(confirmation)}">
<button name="decision" value="connect">Connect</button><button name="decision" value="cancel">Cancel</button></form>`,
	);
}

export function declinedPage(provider: string): string {
	return page(
		"Nothing was connected",
		`<p>CapyDB has erased what ${escaped(provider)} gave it. You may remove the access at ${escaped(provider)} too,
and close this page.</p>`,
	);
}

/** For an installation that began in a platform's marketplace. */
export function beganElsewherePage(provider: string, dashboardUrl: string | null): string {
	const dashboard =
		dashboardUrl === null ? "the dashboard" : `<a href="${escaped(dashboardUrl)}">the dashboard</a>`;
	return page(
		"Start from the dashboard",
		`<p>${escaped(provider)} has installed the integration, but did not say for which CapyDB project. Open
${dashboard}, choose the project, and connect ${escaped(provider)} there.</p>`,
	);
}

/** Where a flow ends when the operator names no dashboard. */
export function donePage(provider: string, status: string): string {
	const more =
		status === "pending"
			? "Now choose what the CapyDB project is to be connected with there."
			: "The CapyDB project is being connected.";
	return page(
		`${provider} has given access`,
		`<p>${status === "disabled" ? "The integration is disabled." : more} You may close this page.</p>`,
	);
}

function page(title: string, body: string): string {
	return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title>
<style>${style}</style></head><body><main><h1>${escaped(title)}</h1>
${body}
</main></body></html>
`;
}

const entities: Record<string, string> = {
	"&": "&amp;",
	"<": "&lt;",
	">": "&gt;",
	'"': "&quot;",
	"'": "&#39;",
};

function escaped(text: string): string {
	return text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}
