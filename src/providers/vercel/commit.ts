import type { Deployment } from "../deployment-provider.ts";
import { redactMeta } from "./redact.ts";
import type { VercelMeta } from "./wire.ts";

type Commit = Pick<
	Deployment,
	"branch" | "commitSha" | "commitMessage" | "commitAuthor" | "pullRequest" | "isFork" | "isRedeploy"
>;

const textLengthMax = 1000;

/**
 * What a deployment's `meta` says of its commit, under the names of whichever git host it came from. All null for
 * one that was uploaded.
 */
export function describeCommit(meta: VercelMeta): Commit {
	const texts = redactMeta(meta);
	const host = ["github", "gitlab", "bitbucket"].find((name) => texts[`${name}CommitRef`]);
	const read = (key: string) => shortened(host === undefined ? undefined : texts[`${host}${key}`]);
	return {
		branch: host === undefined ? null : (texts[`${host}CommitRef`] ?? null),
		commitSha: read("CommitSha"),
		commitMessage: read("CommitMessage"),
		commitAuthor: read("CommitAuthorLogin") ?? read("CommitAuthorName"),
		pullRequest: positiveInteger(read("PrId") ?? read("PrIid") ?? read("MrIid")),
		isFork: isFork(texts),
		isRedeploy: texts.action === "redeploy",
	};
}

/** Only GitHub's deployments name both repositories: the project's own, and the commit's. */
function isFork(texts: Record<string, string>): boolean | null {
	const { githubRepoId, githubCommitRepoId, githubOrg, githubRepo, githubCommitOrg, githubCommitRepo } =
		texts;
	if (githubRepoId && githubCommitRepoId) return githubRepoId !== githubCommitRepoId;
	if (!githubOrg || !githubRepo || !githubCommitOrg || !githubCommitRepo) return null;
	return (
		`${githubOrg}/${githubRepo}`.toLowerCase() !== `${githubCommitOrg}/${githubCommitRepo}`.toLowerCase()
	);
}

/** Cut by code points, so that no half character is left at the end. */
function shortened(text: string | undefined): string | null {
	if (!text) return null;
	return text.length <= textLengthMax ? text : Array.from(text).slice(0, textLengthMax).join("");
}

function positiveInteger(text: string | null): number | null {
	return text !== null && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : null;
}
