import { computed, type ReadonlySignal } from "@preact/signals-core";
import type { Context } from "../context.js";
import { Data, type Series } from "../data.js";
import { watch } from "../dom.js";
import type { AlignmentInfo, CompareInfo } from "../protocol.js";
import { headsIn, State, type Traits } from "../state.js";
import { type Aligned, alignAxes } from "./compare-align.js";

const FOLLOWED = [
  "kind",
  "heads",
  "measure",
  "aggregate",
  "special_tokens",
  "whole_words",
  "color_scale",
] as const satisfies readonly (keyof Traits)[];

/** The capture compared with, seen through the same choices as the one shown. */
export interface Second {
  context: Context;
  alignment: AlignmentInfo | undefined;
  queries: Aligned;
  keys: Aligned;
  /** Why a series cannot be shown; empty if it can. */
  missing(series: Series): string;
}

export function makeSecond(context: Context, compare: CompareInfo): ReadonlySignal<Second> {
  const { state, source, life } = context;
  const mirror = new State(compare.capture, {});
  watch(life, () => {
    for (const name of FOLLOWED) mirror.receive(name, state.synced[name].value);
    mirror.page.dark.value = state.page.dark.value;
  });
  const second = source.beside();
  const other: Context = { ...context, state: mirror, source: second, data: new Data(mirror, second, life) };
  return computed(() => {
    const alignment = compare.kinds[state.now.kind.value.kind];
    const { queries, keys } = mirror.now;
    return {
      context: other,
      alignment,
      queries: alignAxes(state.now.queries.value, queries.value, alignment?.queries ?? []),
      keys: alignAxes(state.now.keys.value, keys.value, alignment?.keys ?? []),
      missing: (series) => missing(context, other, compare, series),
    };
  });
}

function missing({ state }: Context, other: Context, compare: CompareInfo, { heads }: Series): string {
  const { kind } = state.now.kind.value;
  if (!compare.kinds[kind]) return compare.refused[kind] ?? `The second capture has no ${kind} attention.`;
  const theirs = other.state.now.kind.value;
  const lacking = heads.find(([layer, head]) => head >= headsIn(theirs, layer));
  if (lacking) return `The second capture has no layer ${lacking[0]} head ${lacking[1]}.`;
  const measure = state.now.measure.value;
  return theirs.measures.includes(measure) ? "" : `The second capture has no ${measure}.`;
}
