import { isIP } from "node:net";

// Where things are: how the text of a variable becomes an address. Each throws what its name is to be followed by.

export function postgresUrl(text: string): string {
	const protocol = URL.canParse(text) ? new URL(text).protocol : "";
	if (protocol !== "postgres:" && protocol !== "postgresql:") {
		throw new Error("must be a URL such as postgres://user:password@host:5432/database");
	}
	return text;
}

export function webUrl(text: string): string {
	const url = URL.canParse(text) ? new URL(text) : null;
	if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username || url.password) {
		throw new Error("must be an http or https URL without query and user, such as https://api.example.com");
	}
	return text.replace(/\/+$/, "");
}

export function origin(text: string): string {
	const url = new URL(webUrl(text));
	if (url.pathname !== "/") throw new Error("must be an origin without a path");
	return url.origin;
}

export function origins(text: string): string[] {
	return text.split(",").map((part) => origin(part.trim()));
}

export function hostName(text: string): string {
	if (!/^[A-Za-z0-9.:_-]{1,253}$/.test(text)) throw new Error("must be a host name or an address");
	return text;
}

export function trustProxy(text: string): boolean | number | string {
	if (text === "true" || text === "false") return text === "true";
	if (/^\d{1,2}$/.test(text)) return Number(text);
	const parts = text.split(",").map((part) => part.trim());
	if (!parts.every((part) => isIP(part) !== 0 || isCidr(part))) {
		throw new Error("must be `true`, `false`, a number of hops, or a list of addresses and CIDRs");
	}
	return parts.join(",");
}

export function cidrs(text: string): string[] {
	const parts = text.split(",").map((part) => part.trim());
	if (!parts.every(isCidr)) throw new Error("must be a comma-separated list of CIDRs, such as 10.0.0.0/8");
	return parts;
}

export function cidrsOrTrue(text: string): string[] | "any" {
	return text === "true" ? "any" : cidrs(text);
}

function isCidr(text: string): boolean {
	const [address = "", bits = "", ...rest] = text.split("/");
	const version = isIP(address);
	return (
		rest.length === 0 && /^\d{1,3}$/.test(bits) && version !== 0 && Number(bits) <= (version === 4 ? 32 : 128)
	);
}
