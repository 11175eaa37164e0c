import { eachRun, eachVisible, type Mask, rowStarts } from "./mask.js";

/** One layer of a stored capture: rows of scores or weights, computed when they are looked at. */
export interface Layer {
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly hasScores: boolean;
  readonly mask: Mask;
  /** Writes a row into `out`; keys the mask hides become NaN. */
  weights(head: number, query: number, out: Float32Array): void;
  scores(head: number, query: number, out: Float32Array): void;
  /** One cell; NaN if the mask hides it. */
  weight(head: number, query: number, key: number): number;
}

/** Turns a row of weights into shares of what the keys hand on: each weight times a length, scaled to sum 1. */
export function weigh(row: Float32Array, lengths: Float32Array, head: number): void {
  let total = 0;
  for (let key = 0; key < row.length; key++) {
    row[key] = (row[key] as number) * (lengths[head * row.length + key] as number);
    if (!Number.isNaN(row[key])) total += row[key] as number;
  }
  if (total > 0) for (let key = 0; key < row.length; key++) row[key] = (row[key] as number) / total;
}

export interface QueriesKeys {
  heads: number;
  keyHeads: number;
  width: number;
  scale: number;
  softcap: number | null;
  sinks: Float32Array | null;
  queries: Float32Array;
  keys: Float32Array;
  /** Added to the scores, [1 or heads, queries, keys]. */
  bias?: Float32Array | undefined;
  values?: Float32Array | undefined;
  mask: Mask;
}

export class QueriesKeysLayer implements Layer {
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly hasScores = true;
  readonly mask: Mask;
  /** By head: per query the logarithm of what its exponentials add up to; NaN where it was not asked for yet. */
  #normalizers = new Map<number, Float64Array>();
  /** One row's scores, between its visible ends. */
  #row: Float64Array;
  #query: Float64Array;

  constructor(readonly stored: QueriesKeys) {
    this.heads = stored.heads;
    this.mask = stored.mask;
    this.queries = stored.queries.length / (stored.heads * stored.width);
    this.keys = stored.keys.length / (stored.keyHeads * stored.width);
    this.#row = new Float64Array(this.keys);
    this.#query = new Float64Array(stored.width);
  }

  scores(head: number, query: number, out: Float32Array): void {
    out.fill(Number.NaN);
    this.#take(head, query);
    eachRun(this.mask, query, this.keys, (from, to) => {
      this.#score(head, query, from, to);
      for (let key = from; key < to; key++) out[key] = this.#row[key] as number;
    });
  }

  weights(head: number, query: number, out: Float32Array): void {
    out.fill(Number.NaN);
    const normalizer = this.#normalizer(head, query);
    eachRun(this.mask, query, this.keys, (from, to) => {
      for (let key = from; key < to; key++) out[key] = Math.exp((this.#row[key] as number) - normalizer);
    });
  }

  weight(head: number, query: number, key: number): number {
    let visible = false;
    eachRun(this.mask, query, this.keys, (from, to) => {
      if (from <= key && key < to) visible = true;
    });
    if (!visible) return Number.NaN;
    const known = this.#known(head)[query] as number;
    const normalizer = Number.isNaN(known) ? this.#normalizer(head, query) : known;
    this.#take(head, query);
    this.#score(head, query, key, key + 1);
    return Math.exp((this.#row[key] as number) - normalizer);
  }

  /** Reads a query's vector, scaled. */
  #take(head: number, query: number): void {
    const { width, scale, queries } = this.stored;
    const start = (head * this.queries + query) * width;
    for (let at = 0; at < width; at++) this.#query[at] = scale * (queries[start + at] as number);
  }

  /** Scores of the query taken, for some keys: four at a time, each with a sum of its own. */
  #score(head: number, query: number, from: number, to: number): void {
    const { width, keys, softcap, bias } = this.stored;
    const [taken, row] = [this.#query, this.#row];
    const start = this.keyHead(head) * this.keys * width;
    let key = from;
    for (; key + 3 < to; key += 4) {
      const at0 = start + key * width;
      const [at1, at2, at3] = [at0 + width, at0 + 2 * width, at0 + 3 * width];
      let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
      for (let at = 0; at < width; at++) {
        const value = taken[at] as number;
        sum0 += value * (keys[at0 + at] as number);
        sum1 += value * (keys[at1 + at] as number);
        sum2 += value * (keys[at2 + at] as number);
        sum3 += value * (keys[at3 + at] as number);
      }
      row[key] = sum0;
      row[key + 1] = sum1;
      row[key + 2] = sum2;
      row[key + 3] = sum3;
    }
    for (; key < to; key++) {
      let sum = 0;
      for (let at = 0; at < width; at++)
        sum += (taken[at] as number) * (keys[start + key * width + at] as number);
      row[key] = sum;
    }
    if (softcap !== null)
      for (key = from; key < to; key++) row[key] = softcap * Math.tanh((row[key] as number) / softcap);
    if (bias) for (key = from; key < to; key++) row[key] = (row[key] as number) + this.bias(head, query, key);
  }

  bias(head: number, query: number, key: number): number {
    const { bias, heads } = this.stored;
    if (!bias) return 0;
    const each = this.queries * this.keys;
    const own = bias.length === heads * each ? head * each : 0;
    return bias[own + query * this.keys + key] as number;
  }

  /** The key head that a head reads. */
  keyHead(head: number): number {
    return Math.floor((head * this.stored.keyHeads) / this.stored.heads);
  }

  #known(head: number): Float64Array {
    let known = this.#normalizers.get(head);
    if (!known) {
      known = new Float64Array(this.queries).fill(Number.NaN);
      this.#normalizers.set(head, known);
    }
    return known;
  }

  /** Scores a row, and gives the logarithm of what its exponentials add up to. */
  #normalizer(head: number, query: number): number {
    const known = this.#known(head);
    const row = this.#row;
    const sink = this.stored.sinks?.[head] ?? Number.NEGATIVE_INFINITY;
    let peak = sink;
    this.#take(head, query);
    eachRun(this.mask, query, this.keys, (from, to) => {
      this.#score(head, query, from, to);
      for (let key = from; key < to; key++) if ((row[key] as number) > peak) peak = row[key] as number;
    });
    const before = known[query] as number;
    if (!Number.isNaN(before)) return before;
    let sum = sink === Number.NEGATIVE_INFINITY ? 0 : Math.exp(sink - peak);
    eachRun(this.mask, query, this.keys, (from, to) => {
      for (let key = from; key < to; key++) sum += Math.exp((row[key] as number) - peak);
    });
    const normalizer = sum > 0 ? peak + Math.log(sum) : 0;
    known[query] = normalizer;
    return normalizer;
  }
}

export class PackedWeightsLayer implements Layer {
  readonly hasScores = false;
  #starts: Uint32Array;

  constructor(
    readonly heads: number,
    readonly queries: number,
    readonly keys: number,
    readonly mask: Mask,
    readonly packed: Uint16Array,
  ) {
    this.#starts = rowStarts(mask, queries, keys);
    const cells = this.#starts[queries] as number;
    if (cells * heads !== packed.length) {
      throw new Error(
        `A layer of ${heads} heads with ${cells} visible cells cannot hold ${packed.length} weights.`,
      );
    }
  }

  weights(head: number, query: number, out: Float32Array): void {
    out.fill(Number.NaN);
    this.#each(head, query, (key, weight) => {
      out[key] = weight;
    });
  }

  scores(): void {
    throw new Error("This page stores weights only, so it has no scores.");
  }

  weight(head: number, query: number, key: number): number {
    let found = Number.NaN;
    this.#each(head, query, (seen, weight) => {
      if (seen === key) found = weight;
    });
    return found;
  }

  #each(head: number, query: number, each: (key: number, weight: number) => void): void {
    let at = head * (this.#starts[this.queries] as number) + (this.#starts[query] as number);
    eachVisible(this.mask, query, this.keys, (key) => each(key, (this.packed[at++] as number) / 65535));
  }
}
