import { formOf } from "../attention/measure.js";
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

/** Row of values → what is drawn of it. Shares keep their own scale, scores the place between least and most, effects their size. */
export function rowStrengths(values: Float32Array, measure: string, scale: ColorScale): Float32Array {
  const form = formOf(measure);
  const sizes = form === "signed" ? values.map(Math.abs) : values;
  const { least, most } = form === "share" ? { least: 0, most: 1 } : domainOf([sizes]);
  const strength = strengthOf(scale, { least: form === "signed" ? 0 : least, most }, () => sizes);
  return sizes.map((value) => strength(value));
}

const BINS = 512;

/** The strongest lines, those that matter most first, when there are more than can be drawn. */
export function strongest(lines: Line[], most = MOST_LINES): Line[] {
  if (lines.length <= most) return lines;
  const rank = ({ emphasis, strength }: Line) =>
    emphasis * BINS + clamp(Math.floor(strength * BINS), 0, BINS - 1);
  const counts = new Uint32Array(BINS * 3);
  for (const line of lines) counts[rank(line)] = (counts[rank(line)] as number) + 1;
  let cut = counts.length;
  let kept = 0;
  while (cut > 0 && kept + (counts[cut - 1] as number) <= most) kept += counts[--cut] as number;
  let room = most - kept;
  return lines.filter((line) => {
    const at = rank(line);
    if (at >= cut) return true;
    return at === cut - 1 && room-- > 0;
  });
}
