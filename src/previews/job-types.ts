import type { JobType } from "../jobs/job-type.ts";
import { buildPreview } from "./build-preview.ts";
import { dropPreview } from "./drop-preview.ts";

/** The jobs of preview databases. */
export const previewJobTypes: Record<string, JobType> = {
	"branch.create": buildPreview,
	"branch.reset": buildPreview,
	"branch.delete": dropPreview,
};
