import type { Axis } from "./axis.js";

export interface Kept {
  row: Float32Array;
  /** The share of the row that was taken away, 0 where nothing was. */
  removed: number;
}

/** Takes special keys out of a row; weights are scaled to what the softmax would have given without those keys. */
export function withoutSpecial(row: Float32Array, keys: Axis, rescale: boolean): Kept {
  let removed = 0;
  for (let key = 0; key < row.length; key++) {
    const weight = row[key] as number;
    if (keys.units[key]?.special && !Number.isNaN(weight)) removed += weight;
  }
  const left = 1 - removed;
  const factor = rescale && left > 1e-6 ? 1 / left : 1;
  const out = row.map((weight, key) => (keys.units[key]?.special ? Number.NaN : weight * factor));
  return { row: out, removed: rescale ? removed : 0 };
}
