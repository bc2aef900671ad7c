const headBytes = 5;
const error = 0x45;
const notice = 0x4e;
/** Longer than any that Postgres writes; the check keeps an unfinished one in memory. */
const errorBytesMax = 64 * 1024;

/**
 * Looks at what a server sends before the driver reads it: false once a message is malformed in a way that the
 * driver does not survive. It would loop for ever on an error or notice whose list of fields does not end. Message
 * formats: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export function createMessageCheck(): (chunk: Buffer) => boolean {
	let unfinished = Buffer.alloc(0);
	let bytesToSkip = 0;
	return (chunk) => {
		const bytes = unfinished.length === 0 ? chunk : Buffer.concat([unfinished, chunk]);
		let at = Math.min(bytesToSkip, bytes.length);
		bytesToSkip -= at;
		while (bytes.length - at >= headBytes) {
			const verdict = judge(bytes, at);
			if (verdict === "malformed") return false;
			if (verdict === "unfinished") break;
			const end = at + 1 + bytes.readUInt32BE(at + 1);
			at = Math.min(end, bytes.length);
			bytesToSkip = end - at;
		}
		// A copy: the driver moves bytes about within the chunks that it is given.
		unfinished = Buffer.from(bytes.subarray(at));
		return true;
	};
}

/** Only errors and notices have to be there whole; of all others, the rest may follow unseen. */
function judge(bytes: Buffer, at: number): "sound" | "unfinished" | "malformed" {
	const length = bytes.readUInt32BE(at + 1);
	const end = at + 1 + length;
	if (length < 4) return "malformed";
	if (bytes[at] !== error && bytes[at] !== notice) return "sound";
	if (length > errorBytesMax) return "malformed";
	if (end > bytes.length) return "unfinished";
	return endsItsFields(bytes.subarray(at + headBytes, end)) ? "sound" : "malformed";
}

/** Fields are a byte and a text that ends with a zero; a zero in place of the byte ends the list. */
function endsItsFields(body: Buffer): boolean {
	let at = 0;
	while (at < body.length) {
		if (body[at] === 0) return at === body.length - 1;
		const end = body.indexOf(0, at + 1);
		if (end < 0) return false;
		at = end + 1;
	}
	return false;
}
