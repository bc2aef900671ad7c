import type { Command } from "./command.ts";
import { createKeyCommand } from "./create-key.ts";
import { createOrganizationCommand } from "./create-organization.ts";
import { createProjectCommand } from "./create-project.ts";
import { listStuckCommand } from "./list-stuck.ts";
import { listenCommand } from "./listen.ts";
import { migrateCommand } from "./migrate.ts";
import { pauseCommand, resumeCommand } from "./pause.ts";
import { reencryptCommand } from "./re-encrypt.ts";
import { replayCommand } from "./replay.ts";
import { revokeKeyCommand } from "./revoke-key.ts";
import { verifyCommand } from "./verify.ts";

/** Every command by its name. */
export const commands: Record<string, Command> = {
	migrate: migrateCommand,
	"create-organization": createOrganizationCommand,
	"create-project": createProjectCommand,
	"create-key": createKeyCommand,
	"revoke-key": revokeKeyCommand,
	"list-stuck": listStuckCommand,
	replay: replayCommand,
	pause: pauseCommand,
	resume: resumeCommand,
	"re-encrypt": reencryptCommand,
	verify: verifyCommand,
	listen: listenCommand,
};
