import { clamp } from "../basics.js";
import { css, type Palette, rampAt } from "./palette.js";

export interface CellLook {
  color: string;
  /** What stands in the cell where there is room for it. */
  sign?: string;
  ink?: string;
}

export interface HeadGrid {
  layers: number;
  heads: number;
  pitch: number;
  /** How a head is drawn; undefined where there is none. */
  look: (layer: number, head: number) => CellLook | undefined;
}

export function cellColor(palette: Palette, strength: number | undefined): string {
  if (strength === undefined || Number.isNaN(strength)) return palette.placeholder;
  return css(rampAt(palette.ramp, 0.04 + 0.66 * strength));
}

/** Pixels from which a cell has room for a sign. */
export const ROOM_FOR_SIGN = 9;

export function paintHeadGrid(context: CanvasRenderingContext2D, grid: HeadGrid): void {
  const gap = grid.pitch > 4 ? 1 : 0;
  for (let layer = 0; layer < grid.layers; layer++) {
    for (let head = 0; head < grid.heads; head++) {
      const look = grid.look(layer, head);
      if (!look) continue;
      context.fillStyle = look.color;
      const [x, y] = [head, layer].map((at) => Math.round(at * grid.pitch)) as [number, number];
      const [right, below] = [head + 1, layer + 1].map((at) => Math.round(at * grid.pitch)) as [
        number,
        number,
      ];
      context.fillRect(x, y, right - x - gap, below - y - gap);
      if (!look.sign || grid.pitch < ROOM_FOR_SIGN) continue;
      context.fillStyle = look.ink ?? "";
      context.font = `${Math.round(grid.pitch * 0.75)}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(look.sign, (head + 0.5) * grid.pitch - gap / 2, (layer + 0.5) * grid.pitch);
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
