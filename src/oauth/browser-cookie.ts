import type { Context } from "../context.ts";
import { flowMinutes } from "./flow.ts";

/**
 * The cookie by which the browser that began a flow is known again. Under https its name begins with `__Host-`, so
 * that no other host can set it (RFC 6265bis §4.1.3).
 */
export function browserCookie(ctx: Pick<Context, "publicUrl">, provider: { id: string }) {
	const isSecure = ctx.publicUrl().startsWith("https:");
	const name = `${isSecure ? "__Host-" : ""}capydb_oauth_${provider.id}`;
	const attributes = `Path=/; HttpOnly; SameSite=Lax${isSecure ? "; Secure" : ""}`;
	return {
		set: (value: string) => `${name}=${value}; Max-Age=${flowMinutes * 60}; ${attributes}`,
		clear: () => `${name}=; Max-Age=0; ${attributes}`,
		read(header: string | undefined): string | undefined {
			const pairs = (header ?? "").split(";").map((pair) => pair.trim());
			return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
		},
	};
}
