/** What the servers of the benchmark seal secrets with; their data is thrown away. */
export const benchKeys = [{ id: "bench", key: Buffer.alloc(32, 7) }];
