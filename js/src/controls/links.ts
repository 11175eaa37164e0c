import type { Head, KindInfo, Reply } from "../protocol.js";

const ROUNDING = 2e-6;

/** A head that links two tokens; null where a number is not here yet. */
export interface Hit {
  head: Head;
  weight: number;
  /** Of the key among all keys of the query; 1 is the strongest. */
  rank: number | null;
  /** The share of all other pairs of content tokens whose best head does as well. */
  asGood: number | null;
}

export interface Asking {
  kind: KindInfo;
  heads: readonly Head[];
  weights: Reply;
  pair: readonly [query: number, key: number];
  rowOf(head: Head): Float32Array | undefined;
  levels: Reply | null;
}

export function hitsOf({ kind, heads, weights, pair: [query, key], rowOf, levels }: Asking): Hit[] {
  const most = weights.shape[1] ?? 0;
  const same = kind.keys === null;
  const special = (at: number, of: readonly number[]) => of.includes(at);
  const counted =
    !special(query, kind.queries.special) &&
    !special(key, (kind.keys ?? kind.queries).special) &&
    !(same && query === key);
  return heads.map((head) => {
    const weight = weights.data[kind.layers.indexOf(head[0]) * most + head[1]] as number;
    const row = rowOf(head);
    const own = row?.[key] as number;
    const rank = row ? 1 + row.reduce((above, value) => above + Number(value > own), 0) : null;
    // Weights computed here may be a little below the same ones computed in Python.
    const least = weight - ROUNDING - (kind.notes.error ?? 0);
    return { head, weight, rank, asGood: levels ? shareAsGood(levels, least, counted) : null };
  });
}

/** `counted` says that the pair asked about is one of those whose levels are known. */
function shareAsGood({ data, info }: Reply, weight: number, counted: boolean): number | null {
  const pairs = typeof info?.pairs === "number" ? info.pairs : data.length;
  const others = pairs - Number(counted);
  if (others < 1 || data.length === 0) return null;
  let low = 0;
  let high = data.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((data[middle] as number) < weight) low = middle + 1;
    else high = middle;
  }
  const reaching = ((data.length - low) / data.length) * pairs - Number(counted);
  return Math.max(0, reaching) / others;
}
