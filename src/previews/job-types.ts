import type { JobType } from "../jobs/job-type.ts";
import { buildPreview } from "./build-preview.ts";
import { dropPreview } from "./drop-preview.ts";
import type { PreviewHooks } from "./preview-hooks.ts";

/** The jobs of preview databases. */
export function previewJobTypes(hooks: PreviewHooks): Record<string, JobType> {
	return {
		"branch.create": buildPreview(hooks),
		"branch.reset": buildPreview(hooks),
		"branch.delete": dropPreview(hooks),
	};
}
