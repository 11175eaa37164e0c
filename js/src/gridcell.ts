import { el, setAttribute, setStyle } from "./dom.js";

/** One focusable cell that stands for the current cell of a canvas grid, so that the keyboard reaches all of it. */
export class GridCell {
  readonly element: HTMLElement;
  readonly cell = el("div", { role: "gridcell", tabindex: 0, class: "grid-cell" });
  #row = el("div", { role: "row" }, this.cell);

  constructor(label: string) {
    this.element = el("div", { role: "grid", "aria-label": label, class: "grid-proxy" }, this.#row);
  }

  /** Rows, columns, and the current place among them, counted from zero. */
  describe(size: readonly [number, number], at: readonly [number, number], label: string): void {
    setAttribute(this.element, "aria-rowcount", size[0]);
    setAttribute(this.element, "aria-colcount", size[1]);
    setAttribute(this.#row, "aria-rowindex", at[0] + 1);
    setAttribute(this.cell, "aria-colindex", at[1] + 1);
    setAttribute(this.cell, "aria-label", label);
  }

  place(x: number, y: number, width: number, height: number): void {
    setStyle(this.cell, "transform", `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`);
    setStyle(this.cell, "width", width);
    setStyle(this.cell, "height", height);
  }
}
