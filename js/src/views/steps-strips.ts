import { clamp } from "../basics.js";
import { type Context, paletteOf } from "../context.js";
import { el, isShortcut, listenTo, onSize, prepare, setText } from "../dom.js";
import { paintStrips, type Strip } from "../draw/strips.js";
import { GridCell } from "../gridcell.js";
import { written } from "./steps-table.js";

export interface VectorStrip {
  name: string;
  /** What the numbers add up to, or how long the vector is. */
  end: string;
  /** The exact number behind it. */
  exact?: number | undefined;
  values: ArrayLike<number> | null;
  most?: number;
}

const TALL = 13;
const PITCH = 20;

/** Vectors as rows of cells, one cell per dimension. */
export class Strips {
  readonly element: HTMLElement;
  readonly #canvas = el("canvas", { "aria-hidden": "true" });
  readonly #grid = new GridCell("Vectors: rows are vectors, columns are dimensions");
  readonly #plot = el("div", { class: "strips-plot" }, this.#canvas, this.#grid.element);
  readonly #names = el("div", { class: "strips-names" });
  readonly #ends = el("div", { class: "strips-ends" });
  #strips: readonly VectorStrip[] = [];
  #width = 0;
  #cursor: [number, number] = [0, 0];

  constructor(readonly context: Context) {
    const { life, scheduler } = context;
    this.element = el("div", { class: "strips" }, this.#names, this.#plot, this.#ends);
    onSize(this.#plot, life, (width) => {
      this.#width = width;
      scheduler.paint(this.#draw);
    });
    const on = listenTo(this.#plot, life);
    on("pointermove", (event) => {
      const box = this.#canvas.getBoundingClientRect();
      const row = Math.floor((event.clientY - box.top) / PITCH);
      const at = Math.floor(((event.clientX - box.left) / Math.max(1, box.width)) * this.#count(row));
      this.#explain(row, at);
    });
    on("pointerleave", () => context.tooltip.hide());
    on("focusout", () => context.tooltip.hide());
    on("keydown", (event) => this.#key(event));
  }

  paint(strips: readonly VectorStrip[]): void {
    this.#strips = strips;
    this.element.hidden = strips.length === 0;
    const same = this.#names.children.length === strips.length;
    if (!same) {
      this.#names.replaceChildren(...strips.map(() => el("bdi")));
      this.#ends.replaceChildren(...strips.map(() => el("span", { class: "number" })));
    }
    strips.forEach(({ name, end, exact }, row) => {
      setText(this.#names.children[row] as HTMLElement, name);
      const number = this.#ends.children[row] as HTMLElement;
      setText(number, end);
      if (exact === undefined) number.removeAttribute("data-weight");
      else number.setAttribute("data-weight", String(exact));
    });
    this.#draw();
  }

  readonly #draw = () => {
    if (this.context.life.aborted || this.#width === 0 || this.#strips.length === 0) return;
    const pen = prepare(this.#canvas, this.#width, this.#strips.length * PITCH);
    if (pen) this.draw(pen, this.#width);
    const [row, at] = this.#inside(...this.#cursor);
    this.#cursor = [row, at];
    const cell = this.#width / Math.max(1, this.#count(row));
    this.#grid.describe([this.#strips.length, this.#count(row)], [row, at], this.#say(row, at));
    this.#grid.place(at * cell, row * PITCH, Math.max(4, cell), TALL);
  };

  draw(pen: CanvasRenderingContext2D, width: number): void {
    const strips = this.#strips.map(({ values, most }): Strip | null =>
      values ? { values, most: most ?? largest(values) } : null,
    );
    paintStrips(pen, { width, tall: TALL, pitch: PITCH }, strips, paletteOf(this.context.state));
  }

  #count(row: number): number {
    return this.#strips[row]?.values?.length ?? 0;
  }

  #inside(row: number, at: number): [number, number] {
    const inside = clamp(row, 0, this.#strips.length - 1);
    return [inside, clamp(at, 0, Math.max(0, this.#count(inside) - 1))];
  }

  #say(row: number, at: number): string {
    const strip = this.#strips[row];
    const value = strip?.values?.[at];
    return value === undefined
      ? `${strip?.name ?? ""}: not here yet`
      : `${strip?.name}, dimension ${at}: ${written(value)}`;
  }

  #explain(row: number, at: number): void {
    const count = this.#count(row);
    if (at < 0 || at >= count) {
      this.context.tooltip.hide();
      return;
    }
    const box = this.#canvas.getBoundingClientRect();
    const cell = box.width / count;
    this.context.tooltip.show(
      this.#say(row, at),
      new DOMRect(box.left + at * cell, box.top + row * PITCH, cell, TALL),
    );
  }

  #key(event: KeyboardEvent): void {
    const [row, at] = this.#cursor;
    const steps: Record<string, [number, number]> = {
      ArrowUp: [row - 1, at],
      ArrowDown: [row + 1, at],
      ArrowLeft: [row, at - 1],
      ArrowRight: [row, at + 1],
      Home: [row, 0],
      End: [row, this.#count(row)],
    };
    const step = steps[event.key];
    if (!step || isShortcut(event)) return;
    this.#cursor = this.#inside(...step);
    this.#draw();
    this.#explain(...this.#cursor);
    this.context.state.page.spoken.value = this.#say(...this.#cursor);
    event.preventDefault();
    event.stopPropagation();
  }
}

function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let at = 0; at < values.length; at++) most = Math.max(most, Math.abs(values[at] as number));
  return most;
}

export function lengthOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += (values[at] as number) ** 2;
  return Math.sqrt(sum);
}
