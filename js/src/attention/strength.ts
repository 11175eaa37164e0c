import { clamp } from "../basics.js";
export type ColorScale = "linear" | "log" | "rank";

export interface Domain {
  least: number;
  most: number;
}

const DECADES = 4;

export function domainOf(rows: Iterable<Float32Array>): Domain {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const row of rows) {
    for (const value of row) {
      if (value < least && value !== Number.NEGATIVE_INFINITY) least = value;
      if (value > most) most = value;
    }
  }
  return least <= most ? { least, most } : { least: 0, most: 1 };
}

const share = (value: number) => clamp(value, 0, 1);

/** Value → strength between 0 and 1; NaN stays NaN. */
export function strengthOf(
  scale: ColorScale,
  { least, most }: Domain,
  values: () => Iterable<number>,
): (value: number) => number {
  if (scale === "rank") {
    const sorted = Float32Array.from(values())
      .filter((value) => !Number.isNaN(value))
      .sort();
    return (value) => (Number.isNaN(value) ? value : rank(sorted, value));
  }
  const reach = most - least;
  if (scale === "log") {
    const base = least < 0 ? least : 0;
    const top = most - base;
    return (value) => {
      if (Number.isNaN(value)) return value;
      return value - base > 0 && top > 0 ? share(1 + Math.log10((value - base) / top) / DECADES) : 0;
    };
  }
  return (value) => (Number.isNaN(value) ? value : reach > 0 ? share((value - least) / reach) : 0);
}

/** The share of `sorted` that is smaller; equal values have equal rank, the largest has 1. */
function rank(sorted: Float32Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return sorted.length > 1 ? share(low / (sorted.length - 1)) : 1;
}

/** Positions of the largest values, largest first. */
export function topPositions(row: Float32Array, count: number): number[] {
  const top: number[] = [];
  for (let at = 0; at < row.length; at++) {
    const value = row[at] as number;
    if (Number.isNaN(value)) continue;
    const last = top[top.length - 1];
    if (top.length === count && last !== undefined && value <= (row[last] as number)) continue;
    const place = top.findIndex((other) => (row[other] as number) < value);
    top.splice(place < 0 ? top.length : place, 0, at);
    if (top.length > count) top.pop();
  }
  return top;
}
