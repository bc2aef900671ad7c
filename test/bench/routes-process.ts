// What the inbound route is measured against: one that only answers, and one that writes the same row by itself.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import Fastify, { type FastifyRequest } from "fastify";
import pg from "pg";
import { newId, toUuid } from "../../src/core/ids.ts";
import { serve } from "./child.ts";

const { DATABASE_URL: databaseUrl, HOOK_SECRET: secret = "" } = process.env;
const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 });
const owner = [newId("org"), newId("prj"), newId("int")].map(toUuid);
const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

app.post("/bare", () => ({ received: true }));

app.post("/insert", async (request: FastifyRequest<{ Body: Buffer }>, reply) => {
	const right = createHmac("sha1", secret).update(request.body).digest("hex");
	const given = String(request.headers["x-vercel-signature"]);
	if (given.length !== right.length || !timingSafeEqual(Buffer.from(given), Buffer.from(right))) {
		return reply.code(401).send({ error: "The signature is not right." });
	}
	const text = request.body.toString("utf8");
	const { id, type, createdAt } = JSON.parse(text);
	const hash = createHash("sha256").update(request.body).digest();
	await pool.query({
		name: "plain",
		text: insertSql,
		values: [...owner, toUuid(newId("inb")), id, type, text, hash, new Date(createdAt)],
	});
	return { received: true };
});

const insertSql = `
insert into inbound_webhooks (organization_id, project_id, integration_id, id, provider, provider_event_id, type, state,
	document, body_hash, occurred_at)
values ($1, $2, $3, $4, 'vercel', $5, $6, 'received', $7, $8, $9)`;

const url = await app.listen({ host: "127.0.0.1", port: 0 });

const commands = { url: () => url };

export type RoutesCommands = typeof commands;

serve(commands, async () => {
	await app.close();
	await pool.end();
});
