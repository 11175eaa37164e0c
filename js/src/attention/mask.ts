export type Mask =
  | { form: "full" }
  | { form: "interval"; from: Int32Array; to: Int32Array }
  | { form: "bits"; bits: Uint8Array };

/** Calls `each` for every run of keys the query may see, in order: the first of it, and the one past its last. */
export function eachRun(
  mask: Mask,
  query: number,
  keys: number,
  each: (from: number, to: number) => void,
): void {
  if (mask.form === "bits") {
    const stride = Math.ceil(keys / 8);
    let from = -1;
    for (let key = 0; key < keys; key++) {
      const seen = (mask.bits[query * stride + (key >> 3)] ?? 0) & (0x80 >> (key & 7));
      if (seen && from < 0) from = key;
      if (seen || from < 0) continue;
      each(from, key);
      from = -1;
    }
    if (from >= 0) each(from, keys);
    return;
  }
  const from = mask.form === "full" ? 0 : Math.max(0, mask.from[query] ?? 0);
  const to = mask.form === "full" ? keys : Math.min(keys, mask.to[query] ?? 0);
  if (from < to) each(from, to);
}

/** Calls `each` for every key the query may see, in order. */
export function eachVisible(mask: Mask, query: number, keys: number, each: (key: number) => void): void {
  eachRun(mask, query, keys, (from, to) => {
    for (let key = from; key < to; key++) each(key);
  });
}

/** Where each row's visible cells start when only those are stored, row by row. */
export function rowStarts(mask: Mask, queries: number, keys: number): Uint32Array {
  const starts = new Uint32Array(queries + 1);
  for (let query = 0; query < queries; query++) {
    let seen = 0;
    eachRun(mask, query, keys, (from, to) => {
      seen += to - from;
    });
    starts[query + 1] = (starts[query] ?? 0) + seen;
  }
  return starts;
}
