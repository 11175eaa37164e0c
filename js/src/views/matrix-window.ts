import { clamp } from "../basics.js";
import type { Context } from "../context.js";
import { button, el } from "../dom.js";
import type { HeatFrame } from "../draw/heatmap.js";
import type { GridCell } from "../gridcell.js";
import { clampViewport, fitCell, type Room, revealCell, type Viewport, zoomAt } from "./viewport.js";

/** Pixels of a cell of which nothing can be told. */
const TINY = 0.2;

/** A window on a matrix, or on several as one, that is panned and zoomed, and a cell in it where the keyboard is. */
export abstract class MatrixWindow {
  readonly zooming: HTMLElement;
  protected cursor: [number, number] = [0, 0];
  #view: Viewport = { top: 0, left: 0, cell: 0 };

  constructor(readonly context: Context) {
    const small = (label: string, text: string, run: () => void) =>
      button({ class: "small", "aria-label": label }, run, text);
    this.zooming = el(
      "div",
      { class: "zoom", role: "group", "aria-label": "Zoom" },
      small("Zoom out", "−", () => this.zoom(1 / this.#step)),
      small("Zoom in", "+", () => this.zoom(this.#step)),
      small("fit the whole matrix", "fit", () => this.fit()),
    );
  }

  abstract get room(): Room;
  abstract hover(cell: [number, number] | null): void;
  protected abstract say(cell: [number, number]): string;
  protected abstract readonly redraw: () => void;

  protected later(): void {
    this.context.scheduler.paint(this.redraw);
  }

  get view(): Viewport {
    return this.#view;
  }

  set view(view: Viewport) {
    this.#view = clampViewport(view, this.room);
    this.later();
  }

  /** Keeps the window inside, whatever became of the room. */
  protected clamp(): Viewport {
    this.#view = clampViewport(this.#view, this.room);
    return this.#view;
  }

  /** Shows the whole from the next painting on. */
  protected restart(): void {
    this.#view = { top: 0, left: 0, cell: 0 };
  }

  /** Far from where cells can be told apart, a step is larger. */
  get #step(): number {
    return this.#view.cell < TINY ? 5 : 1.5;
  }

  zoom(factor: number, x = this.room.width / 2, y = this.room.height / 2): void {
    this.view = zoomAt(this.#view, this.room, factor, x, y);
  }

  fit(): void {
    this.view = { top: 0, left: 0, cell: fitCell(this.room) };
  }

  zoomCursor(factor: number): void {
    const [row, column] = this.cursor;
    const { top, left, cell } = this.#view;
    this.zoom(factor, (column + 0.5 - left) * cell, (row + 0.5 - top) * cell);
  }

  move(down: number, right: number): void {
    const { rows, columns } = this.room;
    const [row, column] = this.cursor;
    this.cursor = [clamp(row + down, 0, rows - 1), clamp(column + right, 0, columns - 1)];
    this.#view = revealCell(this.#view, this.room, ...this.cursor);
    this.hover(this.cursor);
    this.context.state.page.spoken.value = this.say(this.cursor);
    this.later();
  }

  /** The cell of the keyboard, named and laid over what is painted. */
  protected placeCursor(grid: GridCell, frame: HeatFrame): void {
    const [x, y] = cornerOf(frame, this.cursor);
    grid.describe([frame.rows, frame.columns], this.cursor, this.say(this.cursor));
    grid.place(x, y, Math.max(4, frame.cell), Math.max(4, frame.cell));
  }

  protected explain(canvas: HTMLCanvasElement, frame: HeatFrame, cell: [number, number]): void {
    const box = canvas.getBoundingClientRect();
    const [x, y] = cornerOf(frame, cell);
    const near = new DOMRect(box.left + x, box.top + y, frame.cell, frame.cell);
    this.context.tooltip.show(this.say(cell), near);
  }
}

function cornerOf(frame: HeatFrame, [row, column]: readonly [number, number]): [number, number] {
  return [frame.x + (column - frame.left) * frame.cell, frame.y + (row - frame.top) * frame.cell];
}

/** The cell at a place of the canvas; null beside the matrix. */
export function cellIn(frame: HeatFrame, x: number, y: number): [number, number] | null {
  if (x < frame.x || y < frame.y || x >= frame.x + frame.width || y >= frame.y + frame.height) return null;
  const row = Math.floor(frame.top + (y - frame.y) / frame.cell);
  const column = Math.floor(frame.left + (x - frame.x) / frame.cell);
  return row < frame.rows && column < frame.columns ? [row, column] : null;
}
