import type { Data, Series } from "./data.js";
import { type Color, DARK, LIGHT, type Palette, seriesColor, seriesInk } from "./draw/palette.js";
import type { Scheduler } from "./scheduler.js";
import type { Source } from "./source.js";
import type { Side, State } from "./state.js";

/** What every view and control is handed. */
export interface Context {
  state: State;
  source: Source;
  data: Data;
  scheduler: Scheduler;
  life: AbortSignal;
  tooltip: Tooltip;
}

export interface Tooltip {
  show(text: string, near: DOMRect): void;
  hide(): void;
}

/** What a control needs that shows heads and asks for nothing. */
export type Ground = Pick<Context, "state" | "scheduler" | "life" | "tooltip">;

export const paletteOf = (state: State): Palette => (state.page.dark.value ? DARK : LIGHT);

export function colorOf(context: Context, series: readonly Series[], at: number): Color {
  return seriesColor(paletteOf(context.state), at, series.length);
}

export function inkOf(context: Pick<Context, "state">, series: readonly Series[], at: number): Color {
  return seriesInk(paletteOf(context.state), at, series.length);
}

const MORE = { query: "more_queries", key: "more_keys" } as const;

/** Pins a place of one side, or releases it if it is pinned already; with `add`, beside what is pinned. */
export function togglePin(state: State, side: Side, unit: number, add = false): void {
  const { queries, keys, pinned } = state.now;
  const { units } = (side === "query" ? queries : keys).value;
  const before = pinned[side].value;
  const others = before.filter((other) => other !== unit);
  const isPinned = others.length < before.length;
  const alone = isPinned && others.length === 0 ? [] : [unit];
  const after = add ? (isPinned ? others : [...before, unit]) : alone;
  const [first = null, ...more] = after.map((at) => units[at]?.from ?? null).filter((at) => at !== null);
  state.set({ [side]: first, [MORE[side]]: more });
}

export function release(state: State): boolean {
  if (state.synced.query.value === null && state.synced.key.value === null) return false;
  state.set({ query: null, key: null, more_queries: [], more_keys: [] });
  return true;
}
