import { type Signal, signal } from "@preact/signals-core";
import type { Lately } from "./ahead.js";
import { type Axis, joinKeys, maxRows, meanRows, sumColumns, type Unit } from "./attention/axis.js";
import { formOf, isShare } from "./attention/measure.js";
import { withoutSpecial } from "./attention/special.js";
import { atEnd, clamp, givenUp, messageOf } from "./basics.js";
import { headName, shortHeadName } from "./headname.js";
import type { Head, KindInfo, Span } from "./protocol.js";
import type { Block, Source } from "./source.js";
import type { State } from "./state.js";

/** What is drawn in one colour: a head, or the selected heads joined into one. */
export interface Series {
  name: string;
  short: string;
  heads: Head[];
}

/** Some keys of every row, with an axis of their own. */
interface Part {
  axis: Axis;
  /** Of the asked key, on that axis. */
  place: number;
  blocks: Block[];
}

export interface Row {
  values: Float32Array;
  /** The share of the row that hidden special tokens had. */
  removed: number;
}

const BLOCK = 65_536;
const REQUEST = 262_144;
/** As many rows of a long text are one block all the same. */
const LONG_ROWS = 8;
/** Weights of one head up to which a column is worth computing for a key that is only pointed at. */
const MOST_POINTED = 2 ** 26;
/** What asks beside a view, for the same rows or fewer. */
const BESIDE = new Set(["inspector", "table"]);
const ROWS_KEPT = 4_000_000;

/** Rows that are asked for together; the kernel counts the same for what it sends ahead. */
export function rowsPerBlock(keys: number): number {
  const [block, request] = [BLOCK, REQUEST].map((cells) => Math.floor(cells / Math.max(1, keys)));
  return clamp(Math.max(block as number, Math.min(LONG_ROWS, request as number)), 1, 256);
}

export function seriesOf(kind: KindInfo, heads: readonly Head[], aggregate: string): Series[] {
  if (aggregate !== "none" && heads.length > 1) {
    return [{ name: `${aggregate} of ${heads.length} heads`, short: aggregate, heads: [...heads] }];
  }
  return heads.map((head) => ({
    name: headName(kind, head),
    short: shortHeadName(kind, head),
    heads: [head],
  }));
}

/** Rows and columns as the page shows them: words joined, special tokens taken out, heads joined. */
export class Data {
  /** Grows whenever something new can be read. */
  readonly version: Signal<number> = signal(0);
  #rows = new Map<string, Row>();
  #kept = 0;
  #setting = "";
  #asked = new Map<string, AbortController>();
  #lately: Lately = { blocks: [], next: null };

  constructor(
    readonly state: State,
    readonly source: Source,
    readonly life: AbortSignal,
  ) {
    atEnd(life, () => this.#drop(() => true));
  }

  /** The rows that were asked for last. */
  get lately(): Lately {
    return this.#lately;
  }

  get series(): Series[] {
    const { now, synced } = this.state;
    return seriesOf(now.kind.value, now.heads.value, synced.aggregate.value);
  }

  /** The row of one query unit, or undefined until it is here. */
  row(series: Series, query: number): Row | undefined {
    this.#refresh();
    const name = `${series.heads.join(";")}|${this.state.synced.aggregate.value}|${query}`;
    const known = this.#rows.get(name);
    if (known) return known;
    const row = this.#build(series, query, null);
    if (!row) return undefined;
    if (this.#kept > ROWS_KEPT) {
      this.#rows.clear();
      this.#kept = 0;
    }
    this.#kept += row.values.length;
    this.#rows.set(name, row);
    return row;
  }

  /** For one key unit, a value per query unit; undefined until all of it is here. */
  column(series: Series, key: number): Float32Array | undefined {
    const { queries } = this.state.now;
    this.#refresh();
    const name = `${series.heads.join(";")}|${this.state.synced.aggregate.value}|column ${key}`;
    const known = this.#rows.get(name);
    if (known) return known.values;
    const out = new Float32Array(queries.value.units.length);
    if (this.#small) {
      for (let query = 0; query < out.length; query++) {
        const row = this.row(series, query);
        if (!row) return undefined;
        out[query] = row.values[key] as number;
      }
      return out;
    }
    const part = this.#columnPart(key);
    for (let query = 0; query < out.length; query++) {
      const row = this.#build(series, query, part);
      if (!row) return undefined;
      out[query] = row.values[part.place] as number;
    }
    this.#rows.set(name, { values: out, removed: 0 });
    return out;
  }

  /** Several rows as one: the mean over the queries, like the pieces of a word. */
  rowsTogether(series: Series, queries: readonly number[]): Float32Array | undefined {
    const rows = queries.map((query) => this.row(series, query)?.values);
    return rows.every((row) => row !== undefined) ? meanRows(rows) : undefined;
  }

  /** Several columns as one: the sum over the keys, like the pieces of a word. */
  columnsTogether(series: Series, keys: readonly number[]): Float32Array | undefined {
    const columns = keys.map((key) => this.column(series, key));
    if (!columns.every((column) => column !== undefined)) return undefined;
    const scores = formOf(this.state.now.measure.value) === "score";
    return sumColumns(columns, scores);
  }

  /** Asks for rows not here yet; what was asked for before under `purpose` and is not wanted now is cancelled. */
  need(purpose: string, queryUnits: Iterable<number>, series: readonly Series[] = this.series): void {
    const { queries, keys } = this.state.now;
    const tall = rowsPerBlock(keys.value.length);
    const starts = new Set<number>();
    for (const at of queryUnits) {
      const unit = queries.value.units[at];
      if (!unit) continue;
      for (let block = Math.floor(unit.from / tall); block * tall < unit.to; block++)
        starts.add(block * tall);
    }
    const blocks = [...starts].map((from) => this.#rowBlock(from, tall));
    if (blocks.length > 0 && !BESIDE.has(purpose)) this.#remember(blocks, tall);
    this.#ask(purpose, blocks, series);
  }

  needColumns(purpose: string, keys: readonly number[]): void {
    const { queries } = this.state.now;
    if (keys.length === 0 || this.withheld(keys)) this.#ask(purpose, [], []);
    else if (this.#small) this.need(purpose, queries.value.units.keys());
    else
      this.#ask(
        purpose,
        keys.flatMap((key) => this.#columnPart(key).blocks),
        this.series,
      );
  }

  /** Whether columns are of a text so long that they are asked for only once they are pinned. */
  withheld(keys: readonly number[]): boolean {
    const { queries, keys: axis, pinned } = this.state.now;
    if (queries.value.length * axis.value.length <= MOST_POINTED) return false;
    return keys.some((key) => !pinned.key.value.includes(key));
  }

  get #small(): boolean {
    const { queries, keys } = this.state.now;
    return queries.value.length * keys.value.length <= REQUEST;
  }

  #block(queries: Span, keys: Span): Block {
    return { kind: this.state.now.kind.value.kind, measure: this.state.now.measure.value, queries, keys };
  }

  /** Where the reader goes: on from the rows of before, or back. */
  #remember(blocks: readonly Block[], tall: number): void {
    const ends = (all: readonly Block[]) => {
      const starts = all.map(({ queries }) => queries[0]);
      return [Math.min(...starts), Math.max(...starts)] as const;
    };
    const [least, most] = ends(blocks);
    const before = this.#lately.blocks.length > 0 ? ends(this.#lately.blocks) : null;
    const from = before && least < before[0] ? least - tall : before && most > before[1] ? most + tall : null;
    const isThere = from !== null && from >= 0 && from < this.state.now.queries.value.length;
    this.#lately = { blocks, next: isThere ? this.#rowBlock(from, tall) : null };
  }

  /** Whole rows, of which a causal mask hides the end. */
  #rowBlock(from: number, tall: number): Block {
    const { queries, keys, kind } = this.state.now;
    const to = Math.min(from + tall, queries.value.length);
    const wide = keys.value.length;
    return this.#block([from, to], [0, kind.value.causal ? Math.min(to, wide) : wide]);
  }

  /** The asked key and the special ones, which is all of a row that a column needs. */
  #columnPart(key: number): Part {
    const { queries, keys } = this.state.now;
    const spans: Span[] = [];
    const units: Unit[] = [];
    let [length, place] = [0, 0];
    keys.value.units.forEach((unit, at) => {
      if (at !== key && (!unit.special || this.state.synced.special_tokens.value)) return;
      if (at === key) place = units.length;
      const last = spans[spans.length - 1];
      if (last && last[1] === unit.from) spans[spans.length - 1] = [last[0], unit.to];
      else spans.push([unit.from, unit.to]);
      const to = length + unit.to - unit.from;
      units.push({ ...unit, from: length, to });
      length = to;
    });
    const { wholeWords } = keys.value;
    return {
      axis: { units, unitOf: new Int32Array(0), length, wholeWords },
      place,
      blocks: spans.map((span) => this.#block([0, queries.value.length], span)),
    };
  }

  #ask(purpose: string, blocks: readonly Block[], series: readonly Series[]): void {
    const { stored } = this.state.now.kind.value;
    const heads = series.flatMap((one) => one.heads).filter((head) => stored?.has(head) ?? true);
    const wanted = new Map<string, () => void>();
    for (const block of blocks) {
      const missing = heads.filter((head) => !this.source.peek(block, head));
      const size = (block.queries[1] - block.queries[0]) * (block.keys[1] - block.keys[0]);
      const together = Math.max(1, Math.floor(REQUEST / size));
      for (let at = 0; at < missing.length; at += together) {
        const group = missing.slice(at, at + together);
        const name = `${purpose}|${JSON.stringify([block, group])}`;
        wanted.set(name, () => this.#send(name, block, group));
      }
    }
    this.#drop((name) => name.startsWith(`${purpose}|`) && !wanted.has(name));
    for (const [name, send] of [...wanted].reverse()) if (!this.#asked.has(name)) send();
  }

  #send(name: string, block: Block, heads: readonly Head[]): void {
    const controller = new AbortController();
    this.#asked.set(name, controller);
    const { signal } = controller;
    this.source.weights(block, heads, signal).then(
      () => {
        this.#asked.delete(name);
        if (signal.aborted) return;
        this.state.page.message.value = "";
        this.version.value = this.version.peek() + 1;
      },
      (error: unknown) => {
        if (signal.aborted) return;
        this.state.page.message.value = messageOf(error);
        // The name stays, so that a refusal is not asked for again with every frame.
        setTimeout(() => this.#asked.delete(name), 5_000);
      },
    );
  }

  #drop(unwanted: (name: string) => boolean): void {
    for (const [name, controller] of this.#asked) {
      if (!unwanted(name)) continue;
      controller.abort(givenUp());
      this.#asked.delete(name);
    }
  }

  #refresh(): void {
    const { synced, now } = this.state;
    const setting = [
      now.kind.value.kind,
      now.measure.value,
      synced.special_tokens.value,
      synced.whole_words.value,
    ];
    if (setting.join("|") === this.#setting) return;
    this.#setting = setting.join("|");
    this.#rows.clear();
    this.#kept = 0;
  }

  #build(series: Series, query: number, part: Part | null): Row | undefined {
    const { now, synced } = this.state;
    const unit = now.queries.value.units[query];
    if (!unit) return undefined;
    const perHead: Row[] = [];
    for (const head of series.heads) {
      const perToken: Row[] = [];
      for (let token = unit.from; token < unit.to; token++) {
        const raw = part ? this.#partOfRow(head, token, part) : this.#tokenRow(head, token);
        if (!raw) return undefined;
        perToken.push(this.#shape(raw, part?.axis ?? now.keys.value));
      }
      perHead.push(joinRows(perToken, meanRows));
    }
    return joinRows(perHead, synced.aggregate.value === "max" ? maxRows : meanRows);
  }

  #shape(raw: Float32Array, keys: Axis): Row {
    const measure = this.state.now.measure.value;
    const values = joinKeys(raw, keys, formOf(measure) === "score");
    if (this.state.synced.special_tokens.value) return { values, removed: 0 };
    const { row, removed } = withoutSpecial(values, keys, isShare(measure));
    return { values: row, removed };
  }

  #tokenRow(head: Head, token: number): Float32Array | undefined {
    const tall = rowsPerBlock(this.state.now.keys.value.length);
    const from = Math.floor(token / tall) * tall;
    const block = this.#rowBlock(from, tall);
    const data = this.source.peek(block, head);
    const [, wide] = block.keys;
    const known = data?.subarray((token - from) * wide, (token - from + 1) * wide);
    const all = this.state.now.keys.value.length;
    if (!known || wide === all) return known;
    const row = new Float32Array(all).fill(Number.NaN);
    row.set(known);
    return row;
  }

  #partOfRow(head: Head, token: number, { axis, blocks }: Part): Float32Array | undefined {
    const row = new Float32Array(axis.length);
    let at = 0;
    for (const block of blocks) {
      const data = this.source.peek(block, head);
      if (!data) return undefined;
      const wide = block.keys[1] - block.keys[0];
      row.set(data.subarray(token * wide, (token + 1) * wide), at);
      at += wide;
    }
    return row;
  }
}

function joinRows(rows: readonly Row[], join: (rows: Float32Array[]) => Float32Array): Row {
  const [first] = rows;
  if (first && rows.length === 1) return first;
  const removed = rows.reduce((sum, row) => sum + row.removed, 0) / rows.length;
  return { values: join(rows.map((row) => row.values)), removed };
}
