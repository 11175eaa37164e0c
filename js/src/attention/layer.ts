import { eachVisible, type Mask, rowStarts } from "./mask.js";

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
  #normalizers = new Map<number, Float64Array>();

  constructor(readonly stored: QueriesKeys) {
    this.heads = stored.heads;
    this.mask = stored.mask;
    this.queries = stored.queries.length / (stored.heads * stored.width);
    this.keys = stored.keys.length / (stored.keyHeads * stored.width);
  }

  scores(head: number, query: number, out: Float32Array): void {
    out.fill(Number.NaN);
    eachVisible(this.stored.mask, query, this.keys, (key) => {
      out[key] = this.#score(head, query, key);
    });
  }

  weights(head: number, query: number, out: Float32Array): void {
    this.scores(head, query, out);
    const normalizer = this.#normalizer(head, query, out);
    for (let key = 0; key < out.length; key++) out[key] = Math.exp((out[key] as number) - normalizer);
  }

  weight(head: number, query: number, key: number): number {
    let visible = false;
    eachVisible(this.stored.mask, query, this.keys, (seen) => {
      if (seen === key) visible = true;
    });
    if (!visible) return Number.NaN;
    let normalizer = this.#known(head)[query] as number;
    if (Number.isNaN(normalizer)) {
      const row = new Float32Array(this.keys);
      this.scores(head, query, row);
      normalizer = this.#normalizer(head, query, row);
    }
    return Math.exp(this.#score(head, query, key) - normalizer);
  }

  #score(head: number, query: number, key: number): number {
    const { width, scale, softcap, queries, keys } = this.stored;
    const left = (head * this.queries + query) * width;
    const right = (this.keyHead(head) * this.keys + key) * width;
    let sum = 0;
    for (let at = 0; at < width; at++) sum += (queries[left + at] as number) * (keys[right + at] as number);
    const score = sum * scale;
    return (softcap === null ? score : softcap * Math.tanh(score / softcap)) + this.bias(head, query, key);
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

  #normalizer(head: number, query: number, scores: Float32Array): number {
    const known = this.#known(head);
    const before = known[query] as number;
    if (!Number.isNaN(before)) return before;
    const sink = this.stored.sinks?.[head] ?? Number.NEGATIVE_INFINITY;
    let peak = sink;
    for (const score of scores) if (score > peak) peak = score;
    let sum = Math.exp(sink - peak);
    if (Number.isNaN(sum)) sum = 0;
    for (const score of scores) if (!Number.isNaN(score)) sum += Math.exp(score - peak);
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
