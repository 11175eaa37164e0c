import { textAt } from "../attention/axis.js";
import { topPositions } from "../attention/strength.js";
import type { Context } from "../context.js";
import type { Series } from "../data.js";
import type { Side } from "../state.js";
import { fixed, spoken } from "../text.js";

/** What the inspector speaks of: a token, seen from its side. */
export interface Subject {
  side: Side;
  /** The first of them. */
  unit: number;
  units: readonly number[];
  pinned: boolean;
  /** The place on the other side, if one is in question too. */
  other: number | null;
}

export function subjectOf({ state }: Context): Subject | null {
  const { now, page } = state;
  const query = now.query.value ?? page.hoverQuery.value;
  const key = now.key.value ?? page.hoverKey.value;
  const group = (side: Side, first: number) =>
    now.pinned[side].value.length > 0 ? now.pinned[side].value : [first];
  if (query !== null) {
    return {
      side: "query",
      unit: query,
      units: group("query", query),
      pinned: now.query.value !== null,
      other: key,
    };
  }
  if (key !== null) {
    return { side: "key", unit: key, units: group("key", key), pinned: now.key.value !== null, other: null };
  }
  return null;
}

/** What the subject attends to, or who attends to it; undefined until it is here. */
export function valuesOf(
  { data }: Context,
  series: Series,
  { side, units }: Subject,
): Float32Array | undefined {
  return side === "query" ? data.rowsTogether(series, units) : data.columnsTogether(series, units);
}

/** The sentence a screen reader hears when something is pinned. */
export function summary(context: Context, subject: Subject): string | null {
  const { queries, keys } = context.state.now;
  const [mine, theirs] = subject.side === "query" ? [queries, keys] : [keys, queries];
  const name = subject.units.map((unit) => spoken(textAt(mine.value, unit))).join(" and ");
  const parts: string[] = [];
  for (const series of context.data.series) {
    const values = valuesOf(context, series, subject);
    if (!values) return null;
    const [top] = subject.other === null ? topPositions(values, 1) : [subject.other];
    const value = top === undefined ? Number.NaN : (values[top] as number);
    if (top === undefined) continue;
    const where = series.name.toLowerCase().replace(" ·", "");
    const most = subject.other === null ? "most " : "";
    parts.push(
      `${most}${subject.side === "query" ? "to " : "by "}${spoken(textAt(theirs.value, top))}, ${fixed(value, 2)}, in ${where}`,
    );
  }
  return `${name} ${subject.side === "query" ? "attends" : "is attended to"} ${parts.join("; ")}`;
}
