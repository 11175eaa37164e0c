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
