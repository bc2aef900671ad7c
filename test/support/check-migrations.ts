// Fails when the tables in src say more than the migrations: generates once more, beside a copy.
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import drizzleConfig from "../../drizzle.config.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const migrations = join(root, "migrations");
const generateMs = 120_000;

const folder = await mkdtemp(join(tmpdir(), "capydb-migrations-"));
try {
	await cp(migrations, folder, { recursive: true });
	const text = generate(folder);
	// Asked whether a column was renamed, it ends as if all were well: only this sentence says that nothing changed.
	if (!text.includes("No schema changes")) {
		process.exitCode = 1;
		console.error(
			"The migrations do not say what the tables in src say: `npm run db:generate -- --name verb_noun`.",
		);
		console.error(text);
	}
} finally {
	await rm(folder, { recursive: true, force: true });
}

function generate(out: string): string {
	const kit = join(root, "node_modules", "drizzle-kit", "bin.cjs");
	const options = {
		dialect: drizzleConfig.dialect,
		schema: String(drizzleConfig.schema),
		// An absolute path would be taken as one below the working directory.
		out: relative(root, out),
		name: "unwritten_change",
	};
	const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
	const { stdout, stderr } = spawnSync(process.execPath, [kit, "generate", ...flags], {
		cwd: root,
		stdio: ["ignore", "pipe", "pipe"],
		encoding: "utf8",
		timeout: generateMs,
	});
	return `${stdout}${stderr}`.trim();
}
