import { formOf, isShare } from "../attention/measure.js";
import { cellSpan } from "../attention/overview.js";
import { type Domain, domainOf, strengthOf } from "../attention/strength.js";
import { givenUp, messageOf, range } from "../basics.js";
import type { Context } from "../context.js";
import type { Series } from "../data.js";
import type { Grain, Visible } from "../draw/heatmap.js";
import type { Head, Reply } from "../protocol.js";

export const MOST_EXACT = 262_144;
/** So many rows are exact however long they are. */
const LONG_ROWS = 64;
const SIZE = 512;

/** Where the matrix gets its numbers: exact rows, or the overview where there are too many of them. */
export class Cells {
  #overviews = new Map<string, Reply>();
  #asked = new Map<string, AbortController>();
  #strength: { name: string; of: (value: number) => number; domain: Domain } | undefined;

  constructor(
    readonly context: Context,
    readonly changed: () => void,
  ) {}

  isExact(seen: Visible): boolean {
    const rows = seen.bottom - seen.top;
    return rows <= LONG_ROWS || rows * this.context.state.now.keys.value.length <= MOST_EXACT;
  }

  /** What the numbers are: an overview is always of weights. */
  measure(seen: Visible): string {
    return this.isExact(seen) ? this.context.state.now.measure.value : "weights";
  }

  /** Whether zero is in the middle of the colours. */
  signed(seen: Visible): boolean {
    return formOf(this.measure(seen)) === "signed";
  }

  request(series: Series, seen: Visible): void {
    const { data } = this.context;
    if (this.isExact(seen)) {
      this.#drop(() => true);
      data.need("matrix", range(seen.top, seen.bottom), [series]);
      return;
    }
    data.need("matrix", [], []);
    const kind = this.context.state.now.kind.value.kind;
    const wanted = new Map(series.heads.map((head) => [`${kind}|${head}`, head]));
    this.#drop((name) => !wanted.has(name));
    for (const [name, head] of wanted) if (!this.#asked.has(name)) this.#ask(name, kind, head);
  }

  /** Whether what is seen is still being computed. */
  waits(series: Series, seen: Visible): boolean {
    return !this.isExact(seen) && this.#replies(series).length < series.heads.length;
  }

  #ask(name: string, kind: string, head: Head): void {
    const controller = new AbortController();
    this.#asked.set(name, controller);
    const signal = AbortSignal.any([this.context.life, controller.signal]);
    this.context.source.overview(kind, head, SIZE, signal).then(
      (reply) => {
        this.#overviews.set(name, reply);
        this.changed();
      },
      (error: unknown) => {
        if (signal.aborted) return;
        this.context.state.page.message.value = messageOf(error);
        setTimeout(() => this.#asked.delete(name), 5_000);
      },
    );
  }

  /** Gives up what is no longer looked at, unless it is here. */
  #drop(unwanted: (name: string) => boolean): void {
    for (const [name, controller] of this.#asked) {
      if (this.#overviews.has(name) || !unwanted(name)) continue;
      controller.abort(givenUp());
      this.#asked.delete(name);
    }
  }

  /** The number of a cell, NaN where masked, undefined where it is not here. */
  reader(series: Series, seen: Visible): (row: number, column: number) => number | undefined {
    if (!this.isExact(seen)) return this.#coarse(series);
    const rows = new Map(
      range(seen.top, seen.bottom).map((row) => [row, this.context.data.row(series, row)?.values]),
    );
    return (row, column) => rows.get(row)?.[column];
  }

  /** Number → strength, and the domain it is measured in. */
  scale(series: Series, seen: Visible): { of: (value: number) => number; domain: Domain } {
    const { state, data } = this.context;
    const { measure } = state.now;
    const color = state.synced.color_scale.value;
    const exact = this.isExact(seen);
    const part = exact ? `${seen.top}-${seen.bottom}` : "all";
    const shape = [state.now.kind.value.kind, measure.value, color, state.synced.whole_words.value];
    const also = [state.synced.special_tokens.value, state.synced.aggregate.value, data.version.value];
    const name = [...shape, ...also, series.heads.join(";"), part, this.#overviews.size].join("|");
    if (this.#strength?.name === name) return this.#strength;
    const arrays = exact ? this.#rows(series, seen) : this.#replies(series).map((reply) => reply.data);
    const found = domainOf(arrays.map(endsOf));
    const domain = { ...found };
    if (isShare(this.measure(seen))) domain.least = 0;
    if (this.signed(seen)) {
      domain.most = Math.max(Math.abs(found.least), Math.abs(found.most));
      domain.least = -domain.most;
    }
    const values = function* () {
      for (const array of arrays) yield* array;
    };
    this.#strength = { name, domain, of: strengthOf(this.signed(seen) ? "linear" : color, domain, values) };
    return this.#strength;
  }

  /** How many cells beside each other have the same number. */
  grain(seen: Visible): Grain {
    const { queries, keys } = this.context.state.now;
    if (this.isExact(seen) || queries.value.wholeWords) return [1, 1];
    return [cellSpan(queries.value.length, SIZE), cellSpan(keys.value.length, SIZE)];
  }

  #rows(series: Series, seen: Visible): Float32Array[] {
    const rows = range(seen.top, seen.bottom).map((row) => this.context.data.row(series, row)?.values);
    return rows.filter((row) => row !== undefined);
  }

  #replies(series: Series): Reply[] {
    const kind = this.context.state.now.kind.value.kind;
    return series.heads
      .map((head) => this.#overviews.get(`${kind}|${head}`))
      .filter((reply) => reply !== undefined);
  }

  #coarse(series: Series): (row: number, column: number) => number | undefined {
    const { queries, keys, kind } = this.context.state.now;
    const replies = this.#replies(series);
    if (replies.length < series.heads.length) return () => undefined;
    const tall = cellSpan(queries.value.length, SIZE);
    const wide = cellSpan(keys.value.length, SIZE);
    const join = this.context.state.synced.aggregate.value;
    return (row, column) => {
      const query = queries.value.units[row];
      const key = keys.value.units[column];
      if (!query || !key) return undefined;
      if (kind.value.causal && key.from >= query.to) return Number.NaN;
      const [y, x] = [Math.floor(query.from / tall), Math.floor(key.from / wide)];
      const values = replies.map(({ data, shape }) => data[y * (shape[1] ?? 0) + x] as number);
      if (join === "mean") return values.reduce((sum, value) => sum + value, 0) / values.length;
      return Math.max(...values);
    };
  }
}

const ends = new WeakMap<Float32Array, Float32Array>();

/** The least and the most of a row, looked for once; nothing of one without numbers. */
function endsOf(row: Float32Array): Float32Array {
  const known = ends.get(row);
  if (known) return known;
  const { least, most } = domainOf([row]);
  const hasNumbers = row.some((value) => value > Number.NEGATIVE_INFINITY);
  const found = hasNumbers ? Float32Array.of(least, most) : new Float32Array(0);
  ends.set(row, found);
  return found;
}

const sums = new WeakMap<Float32Array, number>();

/** What a row adds up to without what is masked, summed once; 0 where it is not here. */
export function sumOf(row: Float32Array | undefined): number {
  if (!row) return 0;
  const sum = sums.get(row) ?? row.reduce((all, value) => all + (Number.isNaN(value) ? 0 : value), 0);
  sums.set(row, sum);
  return sum;
}
