/** A message of protocol buffers as its fields came: numbers and bytes, by field number, in order. */
export type Message = Map<number, (bigint | Buffer)[]>;

/** Reads one message (https://protobuf.dev/programming-guides/encoding). Throws on what is not one. */
export function readMessage(bytes: Buffer): Message {
	const message: Message = new Map();
	let at = 0;
	const take = (length: number): Buffer => {
		if (at + length > bytes.length) throw new Error("The message ends in the middle of a field.");
		at += length;
		return bytes.subarray(at - length, at);
	};
	const varint = (): bigint => {
		let value = 0n;
		for (let shift = 0n; ; shift += 7n) {
			const [byte = 0] = take(1);
			value |= BigInt(byte & 127) << shift;
			if (byte < 128) return value;
		}
	};
	const read = (wireType: number): bigint | Buffer => {
		if (wireType === 0) return varint();
		if (wireType === 1) return take(8).readBigUInt64LE();
		if (wireType === 2) return take(Number(varint()));
		if (wireType === 5) return BigInt(take(4).readUInt32LE());
		throw new Error(`No such wire type: ${wireType}`);
	};
	while (at < bytes.length) {
		const key = Number(varint());
		const values = message.get(key >> 3) ?? [];
		message.set(key >> 3, [...values, read(key & 7)]);
	}
	return message;
}

export function messages(message: Message, field: number): Message[] {
	return (message.get(field) ?? []).map((value) => readMessage(value as Buffer));
}

export function bytes(message: Message, field: number): Buffer {
	return (message.get(field)?.[0] as Buffer | undefined) ?? Buffer.alloc(0);
}

export function number(message: Message, field: number): number {
	return Number(message.get(field)?.[0] ?? 0);
}
