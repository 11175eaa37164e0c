import { formOf, isShare } from "../attention/measure.js";
import { type ColorScale, domainOf, strengthOf } from "../attention/strength.js";
import { clamp } from "../basics.js";
import type { Emphasis } from "../draw/links.js";

export const MOST_LINES = 2_000;

export interface Line {
  series: number;
  query: number;
  key: number;
  strength: number;
  emphasis: Emphasis;
  negative?: boolean;
}

const strengths = new WeakMap<Float32Array, Map<string, Float32Array>>();

/**
 * Row of values → what is drawn of it, kept with the row. Shares keep their own scale, scores the place between least
 * and most, effects their size.
 */
export function rowStrengths(values: Float32Array, measure: string, scale: ColorScale): Float32Array {
  const name = `${measure}|${scale}`;
  const kept = strengths.get(values) ?? new Map<string, Float32Array>();
  const known = kept.get(name);
  if (known) return known;
  const form = formOf(measure);
  const sizes = form === "signed" ? values.map(Math.abs) : values;
  const { least, most } = form === "share" ? { least: 0, most: 1 } : domainOf([sizes]);
  const strength = strengthOf(scale, { least: form === "signed" ? 0 : least, most }, () => sizes);
  const found = sizes.map((value) => strength(value));
  strengths.set(values, kept.set(name, found));
  return found;
}

/** What of a row reaches a threshold: all of it, or the strongest where that is more than can be drawn. */
export interface Reaching {
  places: readonly number[];
  /** How many there are in all. */
  count: number;
}

const reaching = new WeakMap<Float32Array, { name: string; found: Reaching }>();

/** Looks through a row once, however often it is drawn. */
export function rowReaching(
  values: Float32Array,
  measure: string,
  scale: ColorScale,
  threshold: number,
): Reaching {
  const name = `${measure}|${scale}|${threshold}`;
  const known = reaching.get(values);
  if (known?.name === name) return known.found;
  const strength = rowStrengths(values, measure, scale);
  const level = isShare(measure) ? values : strength;
  let places: number[] = [];
  for (let at = 0; at < level.length; at++) {
    if ((level[at] as number) >= threshold && level[at] !== 0) places.push(at);
  }
  const count = places.length;
  if (count > MOST_LINES) places = cutTo(places, MOST_LINES, BINS, (at) => bin(strength[at] as number));
  const found = { places, count };
  reaching.set(values, { name, found });
  return found;
}

const BINS = 512;

/** How much a line matters to what is in question. */
export function emphasisOf(mine: boolean, toKey: boolean, hasQuery: boolean, hasKey: boolean): Emphasis {
  if (hasQuery && hasKey) return mine && toKey ? 2 : mine || toKey ? 1 : 0;
  if (hasQuery) return mine ? 2 : 0;
  return hasKey && toKey ? 2 : 0;
}

const bin = (strength: number) => clamp(Math.floor(strength * BINS), 0, BINS - 1);

/** The strongest lines, those that matter most first, when there are more than can be drawn. */
export function strongest(lines: Line[], most = MOST_LINES): Line[] {
  if (lines.length <= most) return lines;
  return cutTo(lines, most, BINS * 3, ({ emphasis, strength }) => emphasis * BINS + bin(strength));
}

/** So many of the highest rank, in their order. */
function cutTo<Item>(items: Item[], most: number, ranks: number, rank: (item: Item) => number): Item[] {
  const counts = new Uint32Array(ranks);
  for (const item of items) counts[rank(item)] = (counts[rank(item)] as number) + 1;
  let cut = counts.length;
  let kept = 0;
  while (cut > 0 && kept + (counts[cut - 1] as number) <= most) kept += counts[--cut] as number;
  let room = most - kept;
  return items.filter((item) => {
    const at = rank(item);
    if (at >= cut) return true;
    return at === cut - 1 && room-- > 0;
  });
}
