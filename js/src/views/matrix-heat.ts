import { el, prepare } from "../dom.js";
import {
  type CellAt,
  type Grain,
  type HeatFrame,
  type Painted,
  paintHeatmap,
  paintValues,
} from "../draw/heatmap.js";
import type { Palette } from "../draw/palette.js";

/** Pixels a cell needs for its number to be written in it. */
export const VALUES = 34;

export interface Heat {
  frame: HeatFrame;
  size: { width: number; height: number };
  dark: boolean;
  palette: Palette;
  /** Number → strength; another function means other numbers or other colours. */
  of: (value: number) => number;
  read: (row: number, column: number) => number | undefined;
  grain: Grain;
  zero: number;
}

/** The cells of a matrix, painted again only when they change, not with every move of the pointer. */
export class HeatLayer {
  readonly #canvas = el("canvas");
  #key = "";
  #of: Heat["of"] | undefined;
  #painted: Painted = { masked: false, pooled: false };

  paint(pen: CanvasRenderingContext2D, heat: Heat): Painted {
    const { frame, size, dark, of } = heat;
    const key = JSON.stringify([frame, size, dark, heat.grain, heat.zero, pen.getTransform().a]);
    if (key !== this.#key || of !== this.#of) {
      this.#key = key;
      this.#of = of;
      const mine = prepare(this.#canvas, size.width, size.height);
      if (!mine) return this.#painted;
      this.#painted = paintCells(mine, heat);
    }
    pen.drawImage(this.#canvas, 0, 0, size.width, size.height);
    return this.#painted;
  }
}

function paintCells(pen: CanvasRenderingContext2D, { frame, palette, of, read, grain, zero }: Heat): Painted {
  const strength: CellAt = (row, column) => {
    const value = read(row, column);
    return value === undefined ? undefined : of(value);
  };
  const painted = paintHeatmap(pen, frame, strength, palette, grain, zero);
  if (frame.cell >= VALUES) {
    paintValues(pen, frame, strength, (row, column) => (read(row, column) ?? Number.NaN).toFixed(2), palette);
  }
  return painted;
}
