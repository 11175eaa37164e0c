export type Mask =
  | { form: "full" }
  | { form: "interval"; from: Int32Array; to: Int32Array }
  | { form: "bits"; bits: Uint8Array };

/** Calls `each` for every key the query may see, in order. */
export function eachVisible(mask: Mask, query: number, keys: number, each: (key: number) => void): void {
  if (mask.form === "bits") {
    const stride = Math.ceil(keys / 8);
    for (let key = 0; key < keys; key++) {
      const byte = mask.bits[query * stride + (key >> 3)] ?? 0;
      if (byte & (0x80 >> (key & 7))) each(key);
    }
    return;
  }
  const from = mask.form === "full" ? 0 : Math.max(0, mask.from[query] ?? 0);
  const to = mask.form === "full" ? keys : Math.min(keys, mask.to[query] ?? 0);
  for (let key = from; key < to; key++) each(key);
}

/** Where each row's visible cells start when only those are stored, row by row. */
export function rowStarts(mask: Mask, queries: number, keys: number): Uint32Array {
  const starts = new Uint32Array(queries + 1);
  for (let query = 0; query < queries; query++) {
    let seen = 0;
    eachVisible(mask, query, keys, () => {
      seen += 1;
    });
    starts[query + 1] = (starts[query] ?? 0) + seen;
  }
  return starts;
}
