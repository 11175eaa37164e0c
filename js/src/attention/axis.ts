import type { TokensInfo } from "../protocol.js";

/** What one place of an axis stands for: a token, or the adjacent tokens of one word. */
export interface Unit {
  text: string;
  from: number;
  to: number;
  special: boolean;
}

export interface Axis {
  units: Unit[];
  /** The unit each token belongs to. */
  unitOf: Int32Array;
  /** Tokens, not units. */
  length: number;
  wholeWords: boolean;
}

/** What stands at a place; empty where there is none. */
export const textAt = ({ units }: Axis, at: number): string => units[at]?.text ?? "";

export function makeAxis(tokens: TokensInfo, wholeWords: boolean): Axis {
  const special = new Set(tokens.special);
  const units: Unit[] = [];
  const unitOf = new Int32Array(tokens.text.length);
  tokens.text.forEach((text, at) => {
    const word = tokens.words[at] ?? -1;
    const last = units[units.length - 1];
    const joins =
      wholeWords && last !== undefined && word >= 0 && !special.has(at) && word === tokens.words[at - 1];
    if (joins) {
      last.text += text.replace(/^##/, "");
      last.to = at + 1;
    } else units.push({ text, from: at, to: at + 1, special: special.has(at) });
    unitOf[at] = units.length - 1;
  });
  return { units, unitOf, length: tokens.text.length, wholeWords };
}

function joinSums(row: Float32Array, keys: Axis): Float32Array {
  const out = new Float32Array(keys.units.length).fill(Number.NaN);
  keys.units.forEach(({ from, to }, unit) => {
    for (let key = from; key < to; key++) {
      const value = row[key] as number;
      if (Number.isNaN(value)) continue;
      const before = out[unit] as number;
      out[unit] = (Number.isNaN(before) ? 0 : before) + value;
    }
  });
  return out;
}

/** The score whose exponential is the sum of the pieces' exponentials. */
function joinScores(row: Float32Array, keys: Axis): Float32Array {
  return Float32Array.from(keys.units, ({ from, to }) => {
    let peak = Number.NEGATIVE_INFINITY;
    for (let key = from; key < to; key++) if ((row[key] as number) > peak) peak = row[key] as number;
    if (peak === Number.NEGATIVE_INFINITY) return Number.NaN;
    if (to - from === 1) return peak;
    let sum = 0;
    for (let key = from; key < to; key++) {
      const score = row[key] as number;
      if (!Number.isNaN(score)) sum += Math.exp(score - peak);
    }
    return peak + Math.log(sum);
  });
}

/** Tokens → units on the key side: weights add up, scores add up as exponentials. */
export function joinKeys(row: Float32Array, keys: Axis, scores: boolean): Float32Array {
  if (!keys.wholeWords) return row;
  return scores ? joinScores(row, keys) : joinSums(row, keys);
}

/** Several columns → one: weights add up, scores add up as exponentials. */
export function sumColumns(columns: readonly Float32Array[], scores: boolean): Float32Array {
  const [first] = columns;
  if (!first || columns.length === 1) return first ?? new Float32Array(0);
  const join = scores
    ? (a: number, b: number) => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)))
    : (a: number, b: number) => a + b;
  return fold(columns, join, false);
}

/** Several rows → one: the mean over those that have a number. */
export function meanRows(rows: readonly Float32Array[]): Float32Array {
  const [first] = rows;
  if (!first || rows.length === 1) return first ?? new Float32Array(0);
  return fold(rows, (sum, value) => sum + value, true);
}

export function maxRows(rows: readonly Float32Array[]): Float32Array {
  const [first] = rows;
  if (!first || rows.length === 1) return first ?? new Float32Array(0);
  return fold(rows, Math.max, false);
}

function fold(
  rows: readonly Float32Array[],
  join: (before: number, value: number) => number,
  mean: boolean,
): Float32Array {
  const out = new Float32Array(rows[0]?.length ?? 0);
  for (let at = 0; at < out.length; at++) {
    let seen = 0;
    let total = Number.NaN;
    for (const row of rows) {
      const value = row[at] as number;
      if (Number.isNaN(value)) continue;
      total = seen === 0 ? value : join(total, value);
      seen += 1;
    }
    out[at] = mean ? total / seen : total;
  }
  return out;
}
