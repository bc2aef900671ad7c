import { createSign, generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type SigningKey = { id: string; privateKey: KeyObject; publicKey: KeyObject; pem: string };

export type FakeClerkKeys = Awaited<ReturnType<typeof startFakeClerkKeys>>;

/** Clerk's `GET /v1/jwks`, which asks for the instance's secret key, and what rotates the keys behind it. */
export async function startFakeClerkKeys(secretKey: string) {
	let keys = [newSigningKey()];
	let isAway = false;
	const requests: number[] = [];
	const server = createServer((request, response) => {
		const isKnown = request.headers.authorization === `Bearer ${secretKey}`;
		const status = isAway ? 503 : request.url !== "/v1/jwks" ? 404 : isKnown ? 200 : 401;
		requests.push(status);
		response.writeHead(status, { "content-type": "application/json" });
		response.end(
			JSON.stringify(status === 200 ? { keys: keys.map(toJwk) } : { errors: [{ code: "refused" }] }),
		);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		requests,
		key: () => keys.at(-1) as SigningKey,
		/** A new key signs from now on; the ones before stay published, as Clerk keeps them for a while. */
		rotate: () => keys.push(newSigningKey()),
		/** The keys before the one that signs are not published any more. */
		retire: () => {
			keys = keys.slice(-1);
		},
		/** Whether requests are answered with a 503. */
		goAway: (away: boolean) => {
			isAway = away;
		},
		async close(): Promise<void> {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

export function newSigningKey(): SigningKey {
	const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
	const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
	return { id: `ins_${randomUUID()}`, privateKey, publicKey, pem };
}

function toJwk({ id, publicKey }: SigningKey) {
	return { ...publicKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: id };
}

type Organization = { id: string; role: string; slug: string };

/** Claims of a session token in either version of Clerk's, good for a minute. */
export function sessionClaims(version: 1 | 2, organization: Organization | null, more: object = {}) {
	const nowSeconds = Math.floor(Date.now() / 1000);
	const claims = {
		azp: "https://dashboard.example.com",
		exp: nowSeconds + 60,
		iat: nowSeconds,
		nbf: nowSeconds - 10,
		iss: "https://example.clerk.accounts.dev",
		sid: "sess_1",
		sub: "user_1",
		sts: "active",
	};
	return { ...claims, ...organizationClaims(version, organization), ...more };
}

function organizationClaims(version: 1 | 2, organization: Organization | null) {
	if (version === 2) {
		return {
			v: 2,
			...(organization && { o: { id: organization.id, rol: organization.role, slg: organization.slug } }),
		};
	}
	if (!organization) return {};
	return { org_id: organization.id, org_role: `org:${organization.role}`, org_slug: organization.slug };
}

/** An RS256 token over `claims`. */
export function signToken(key: SigningKey, claims: object, header: object = {}): string {
	const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
	const signed = `${encode({ alg: "RS256", typ: "JWT", kid: key.id, ...header })}.${encode(claims)}`;
	const signature = createSign("RSA-SHA256").update(signed).sign(key.privateKey).toString("base64url");
	return `${signed}.${signature}`;
}
