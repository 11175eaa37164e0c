import type { Data, Series } from "./data.js";
import { type Color, DARK, LIGHT, type Palette, seriesColor, seriesInk } from "./draw/palette.js";
import type { Scheduler } from "./scheduler.js";
import type { Source } from "./source.js";
import type { State } from "./state.js";

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

export const paletteOf = (state: State): Palette => (state.page.dark.value ? DARK : LIGHT);

export function colorOf(context: Context, series: readonly Series[], at: number): Color {
  return seriesColor(paletteOf(context.state), at, series.length);
}

export function inkOf(context: Context, series: readonly Series[], at: number): Color {
  return seriesInk(paletteOf(context.state), at, series.length);
}

/** Pins a place of one side, or releases it if it is pinned already. */
export function togglePin(state: State, side: "query" | "key", unit: number): void {
  const { queries, keys } = state.now;
  const place = (side === "query" ? queries : keys).value.units[unit];
  if (!place) return;
  const pinned = state.now[side].value === unit;
  state.set({ [side]: pinned ? null : place.from });
}

export function release(state: State): boolean {
  if (state.synced.query.value === null && state.synced.key.value === null) return false;
  state.set({ query: null, key: null });
  return true;
}
