import { clamp } from "../basics.js";
import { css, type Palette, rampAt } from "./palette.js";

export interface HeadGrid {
  layers: number;
  heads: number;
  pitch: number;
  /** Strength between 0 and 1, NaN where there is no number, undefined where there is no head. */
  at: (layer: number, head: number) => number | undefined;
}

export function cellColor(palette: Palette, strength: number | undefined): string {
  if (strength === undefined || Number.isNaN(strength)) return palette.placeholder;
  return css(rampAt(palette.ramp, 0.04 + 0.66 * strength));
}

export function paintHeadGrid(context: CanvasRenderingContext2D, grid: HeadGrid, palette: Palette): void {
  const gap = grid.pitch > 4 ? 1 : 0;
  for (let layer = 0; layer < grid.layers; layer++) {
    for (let head = 0; head < grid.heads; head++) {
      const strength = grid.at(layer, head);
      if (strength === undefined) continue;
      context.fillStyle = cellColor(palette, strength);
      context.fillRect(head * grid.pitch, layer * grid.pitch, grid.pitch - gap, grid.pitch - gap);
    }
  }
}

const LEAST_RING = 13;

/** Rings a cell so that it is found however small it is, and without leaving the picture. */
export function ringHead(
  context: CanvasRenderingContext2D,
  { layers, heads, pitch }: HeadGrid,
  [layer, head]: readonly [number, number],
  [halo, color]: readonly [string, string],
): void {
  const size = Math.min(Math.max(LEAST_RING, pitch + 1), Math.min(layers, heads) * pitch - 4);
  const place = (at: number, count: number) =>
    clamp((at + 0.5) * pitch - size / 2, 2, count * pitch - size - 2);
  for (const [style, width] of [
    [halo, 5],
    [color, 2.5],
  ] as const) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.strokeRect(place(head, heads), place(layer, layers), size, size);
  }
}
