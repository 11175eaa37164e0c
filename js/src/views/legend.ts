import { formOf, isShare, nounOf } from "../attention/measure.js";
import type { Context } from "../context.js";
import type { Series } from "../data.js";
import { fixed } from "../text.js";

const SCALES = { linear: "", log: ", logarithmic", rank: ", by rank in the row" } as const;

const REACH = {
  share: "",
  score: ", from least to most of its row",
  signed: ", dashed where negative",
} as const;

export interface LineCount {
  drawn: number;
  all: number;
  /** Some rows on the screen are not here yet. */
  missing: boolean;
}

/** What the lines mean, what is left out, and what was taken away. */
export function legendText(context: Context, series: readonly Series[], count: LineCount): string {
  const { state } = context;
  const { measure, threshold, activeQuery } = state.now;
  const { drawn, all, missing } = count;
  const what = `${nounOf(measure.value)}${REACH[formOf(measure.value)]}`;
  const parts = [`Line width: ${what}${SCALES[state.synced.color_scale.value]}`];
  const number = (lines: number) => lines.toLocaleString("en");
  const isStored = state.now.kind.value.stored !== undefined;
  if (missing) parts.push(isStored ? "some heads are not stored" : "some rows are not here yet");
  else if (drawn < all) parts.push(`${number(drawn)} of ${number(all)} lines shown`);
  else if (all === 0) parts.push("no line reaches the threshold");
  else if (threshold.value > 0) parts.push(`${number(all)} lines from ${threshold.value.toFixed(2)} up`);
  const removed = removedMass(context, series, activeQuery.value);
  if (removed) parts.push(removed);
  return parts.join(" · ");
}

/** Said only while special tokens are hidden. */
export function removedMass(
  { state, data }: Context,
  series: readonly Series[],
  query: number | null,
): string {
  if (state.synced.special_tokens.value) return "";
  if (!isShare(state.now.measure.value)) return "specials hidden";
  if (query === null) return "specials hidden, the rest rescaled";
  const masses = series.map((one) => {
    const row = data.row(one, query);
    return row ? fixed(row.removed, 2) : "…";
  });
  return `specials hidden: ${masses.join(" and ")} of this row removed`;
}
