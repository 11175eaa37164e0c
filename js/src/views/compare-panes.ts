import type { ReadonlySignal } from "@preact/signals-core";
import { textAt } from "../attention/axis.js";
import { isShare } from "../attention/measure.js";
import { strengthOf } from "../attention/strength.js";
import { type Context, paletteOf } from "../context.js";
import type { Series } from "../data.js";
import { el, onSize, prepare, setText } from "../dom.js";
import {
  type CellAt,
  type HeatFrame,
  outlineCell,
  paintHeatmap,
  paintValues,
  type Visible,
  visibleCells,
} from "../draw/heatmap.js";
import type { Palette } from "../draw/palette.js";
import { GridCell } from "../gridcell.js";
import { fixed, spoken } from "../text.js";
import { CompareNumbers, type PaneName, type Reader } from "./compare-numbers.js";
import type { Second } from "./compare-second.js";
import { type Gestures, listen } from "./matrix-gestures.js";
import { VALUES } from "./matrix-heat.js";
import { paintLabels } from "./matrix-labels.js";
import { cellIn, MatrixWindow } from "./matrix-window.js";
import { clampViewport, type Room } from "./viewport.js";

export const PANES: Record<PaneName, string> = { a: "A", b: "B", change: "B − A" };
const ORDER: readonly PaneName[] = ["a", "b", "change"];
const TOP = 58;
const END = 8;
/** Beside a matrix, where the name of its last key reaches over it. */
const OVERHANG = 16;
const NAMES = 64;
/** Longest that cells are painted in one frame, but for the matrix begun last. */
const SLICE_MS = 12;

interface Pane {
  box: HTMLElement;
  title: HTMLElement;
  canvas: HTMLCanvasElement;
  /** The cells without what is marked on them, which changes with every move of the pointer. */
  heat: HTMLCanvasElement;
  grid: GridCell;
}

/** Three matrices over the tokens of both texts, moved and zoomed as one. */
export class ComparePanes extends MatrixWindow {
  readonly element = el("div", { class: "compare-panes" });
  readonly numbers: CompareNumbers;
  readonly #panes: Record<PaneName, Pane>;
  #size = { width: 0, height: 0 };
  #shown: readonly PaneName[] = ORDER;
  #hover: [number, number] | null = null;
  #shape = "";
  #arrived = 0;
  #painted = "";
  /** Matrices whose cells are those of before. */
  #behind = new Set<PaneName>();

  constructor(
    context: Context,
    readonly second: ReadonlySignal<Second>,
    names: readonly [string, string],
    protected readonly redraw: () => void,
  ) {
    super(context);
    const { life } = context;
    const changed = () => {
      this.#arrived += 1;
      this.later();
    };
    this.numbers = new CompareNumbers(context, second, changed);
    const pane = (name: PaneName): Pane => {
      const canvas = el("canvas", { "aria-hidden": "true" });
      const grid = new GridCell(`${PANES[name]}: rows are queries, columns are keys`);
      const plot = el("div", { class: "plot" }, canvas, grid.element);
      const title = el("div", { class: "compare-title" });
      const model = name === "a" ? names[0] : name === "b" ? names[1] : "";
      setText(title, [PANES[name], model].filter(Boolean).join(" · "));
      listen(this.#gestures(name), canvas, grid.cell, life);
      const box = el("div", { class: "compare-pane" }, title, plot);
      return { box, title, canvas, heat: el("canvas"), grid };
    };
    this.#panes = { a: pane("a"), b: pane("b"), change: pane("change") };
    this.element.append(...ORDER.map((name) => this.#panes[name].box));
    onSize(this.element, life, () => changed());
  }

  get canvases(): HTMLCanvasElement[] {
    return this.#shown.map((name) => this.#panes[name].canvas);
  }

  get room(): Room {
    const { queries, keys } = this.second.value;
    return {
      width: Math.max(20, this.#size.width - this.#left - OVERHANG),
      height: Math.max(20, this.#size.height - TOP - END),
      rows: queries.slots.length,
      columns: keys.slots.length,
    };
  }

  /** Room for the names of the rows, which stand beside the first matrix. */
  get #left(): number {
    return this.#shown.length > 1 ? NAMES : Math.min(84, Math.round(this.#size.width * 0.3));
  }

  #leftOf(name: PaneName): number {
    return name === this.#shown[0] ? this.#left : END;
  }

  #gestures(name: PaneName): Gestures {
    const panes = this;
    return {
      get view() {
        return panes.view;
      },
      set view(view) {
        panes.view = view;
      },
      get corner() {
        return { x: panes.#leftOf(name), y: TOP };
      },
      cellAt: (x, y) => cellIn(panes.#frame(panes.#leftOf(name)), x, y),
      hover: (cell) => panes.hover(cell),
      pin: (cell) => panes.pin(cell),
      pinCursor: () => panes.pin(panes.cursor),
      move: (down, right) => panes.move(down, right),
      zoom: (factor, x, y) => panes.zoom(factor, x, y),
      zoomCursor: (factor) => panes.zoomCursor(factor),
      fit: () => panes.fit(),
    };
  }

  hover(cell: [number, number] | null): void {
    const { page } = this.context.state;
    if (String(cell) === String(this.#hover)) return;
    this.#hover = cell;
    const { queries, keys } = this.second.value;
    page.hoverQuery.value = cell ? (queries.slots[cell[0]]?.a ?? null) : null;
    page.hoverKey.value = cell ? (keys.slots[cell[1]]?.a ?? null) : null;
    if (cell) this.#tell(cell);
    else this.context.tooltip.hide();
    this.later();
  }

  /** Tokens of the second text alone cannot be pinned, since what is pinned is of the first. */
  pin([row, column]: [number, number]): void {
    const { state } = this.context;
    const { queries, keys } = this.second.value;
    this.cursor = [row, column];
    const [query, key] = [queries.slots[row]?.a ?? null, keys.slots[column]?.a ?? null];
    const { now } = state;
    const none = { more_queries: [], more_keys: [] };
    if (now.query.value === query && now.key.value === key) state.set({ query: null, key: null, ...none });
    else
      state.set({
        query: query === null ? null : (now.queries.value.units[query]?.from ?? null),
        key: key === null ? null : (now.keys.value.units[key]?.from ?? null),
        ...none,
      });
    this.later();
  }

  #frame(left = this.#left): HeatFrame {
    const { rows, columns, width, height } = this.room;
    const view = clampViewport(this.view, this.room);
    return {
      ...view,
      rows,
      columns,
      width: Math.min(width, columns * view.cell),
      height: Math.min(height, rows * view.cell),
      x: left,
      y: TOP,
    };
  }

  protected say([row, column]: [number, number]): string {
    const { queries, keys } = this.second.value;
    const names = `${spoken(textAt(queries.axis, row))} → ${spoken(textAt(keys.axis, column))}`;
    const numbers = ORDER.map((name) => {
      const value = this.numbers.readers[name](row, column);
      return `${PANES[name]} ${value === undefined ? "none" : fixed(value, 6)}`;
    });
    return `${names}: ${this.numbers.exact ? "" : "largest nearby, "}${numbers.join(" · ")}`;
  }

  /** Beside the matrix under the pointer, or the last. */
  #tell(cell: [number, number]): void {
    const last = this.#shown[this.#shown.length - 1] as PaneName;
    const name = this.#shown.find((one) => this.#panes[one].canvas.matches(":hover")) ?? last;
    this.explain(this.#panes[name].canvas, this.#frame(this.#leftOf(name)), cell);
  }

  paint(series: Series, comparable: boolean, shown: readonly PaneName[]): void {
    this.#shown = shown;
    for (const name of ORDER) {
      const { box, title } = this.#panes[name];
      box.hidden = !shown.includes(name);
      box.classList.toggle("first", name === shown[0]);
      if (name === "change") setText(title, `${PANES.change} · ${series.short}`);
    }
    const plot = this.#panes[shown[0] as PaneName].canvas.parentElement as HTMLElement;
    this.#size = { width: plot.clientWidth, height: plot.clientHeight };
    const { queries, keys } = this.second.value;
    const shape = `${queries.slots.length}|${keys.slots.length}|${shown.length}|${this.#size.width}|${this.#size.height}`;
    if (shape !== this.#shape) this.restart();
    this.#shape = shape;
    this.clamp();
    const seen = visibleCells(this.#frame());
    const now = this.#setting(series, comparable);
    const stale = now !== this.#painted;
    if (stale) {
      this.numbers.read(series, comparable, seen);
      this.#behind = new Set(shown);
    }
    this.#painted = now;
    this.#catchUp(seen);
    for (const name of shown) this.#paintPane(name);
    if (this.#hover) this.#tell(this.#hover);
  }

  /** Paints cells that are not of now; three large matrices in one go would hold up the page, so some may wait a frame. */
  #catchUp(seen: Visible): void {
    const until = performance.now() + SLICE_MS;
    for (const name of this.#behind) {
      this.#paintHeat(name, seen);
      this.#behind.delete(name);
      if (performance.now() > until) break;
    }
    if (this.#behind.size > 0) this.later();
  }

  /** All that the cells depend on. */
  #setting(series: Series, comparable: boolean): string {
    const { synced, page } = this.context.state;
    const { measure, aggregate, special_tokens, whole_words, color_scale } = synced;
    const choices = [measure, aggregate, special_tokens, whole_words, color_scale].map((one) => one.value);
    const versions = [
      this.context.data.version.value,
      this.second.value.context.data.version.value,
      this.#arrived,
    ];
    const place = [this.#shape, ...this.#shown, ...Object.values(this.view), window.devicePixelRatio];
    return JSON.stringify([series.heads, comparable, choices, versions, place, page.dark.value]);
  }

  #palette(name: PaneName): Palette {
    const colors = paletteOf(this.context.state);
    return name === "change" || this.numbers.signed ? { ...colors, ramp: colors.diverging } : colors;
  }

  #paintHeat(name: PaneName, seen: Visible): void {
    const { width, height } = this.#size;
    const left = this.#leftOf(name);
    const pen = prepare(this.#panes[name].heat, width - this.#left + left, height);
    if (!pen) return;
    const { state } = this.context;
    const frame = this.#frame(left);
    const diverging = name === "change" || this.numbers.signed;
    const palette = this.#palette(name);
    const { both, change } = this.numbers.domains;
    const read = this.numbers.readers[name];
    const scale = diverging || !isShare(state.now.measure.value) ? "linear" : state.synced.color_scale.value;
    const of = strengthOf(scale, name === "change" ? change : both, () => this.#values(read, seen));
    const strength: CellAt = (row, column) => {
      const value = read(row, column);
      return value === undefined ? undefined : of(value);
    };
    paintHeatmap(pen, frame, strength, palette, this.numbers.grain, diverging ? 0.5 : 0);
    if (frame.cell < VALUES) return;
    paintValues(pen, frame, strength, (row, column) => (read(row, column) ?? 0).toFixed(2), palette);
  }

  #paintPane(name: PaneName): void {
    const { canvas, heat, grid } = this.#panes[name];
    const { height } = this.#size;
    const left = this.#leftOf(name);
    const width = this.#size.width - this.#left + left;
    const pen = prepare(canvas, width, height);
    const frame = this.#frame(left);
    if (pen) {
      pen.drawImage(heat, 0, 0, width, height);
      this.#paintMarks(pen, frame, this.#palette(name), left > END);
    }
    this.placeCursor(grid, frame);
  }

  *#values(read: Reader, seen: Visible): Iterable<number> {
    for (let row = seen.top; row < seen.bottom; row++)
      for (let column = seen.left; column < seen.right; column++) yield read(row, column) ?? Number.NaN;
  }

  #paintMarks(pen: CanvasRenderingContext2D, frame: HeatFrame, palette: Palette, names: boolean): void {
    const { queries, keys } = this.second.value;
    const { query, key } = this.context.state.now;
    const pinned = {
      row: query.value === null ? null : (queries.placeOfA.get(query.value) ?? null),
      column: key.value === null ? null : (keys.placeOfA.get(key.value) ?? null),
    };
    paintLabels(
      pen,
      frame,
      [queries.axis, keys.axis],
      { row: this.#hover?.[0] ?? pinned.row, column: this.#hover?.[1] ?? pinned.column },
      palette,
      names,
    );
    pen.save();
    pen.beginPath();
    pen.rect(frame.x - 1, frame.y - 1, frame.width + 2, frame.height + 2);
    pen.clip();
    pen.strokeStyle = palette.accent;
    pen.lineWidth = 1.5;
    const size = Math.max(2, frame.cell);
    if (pinned.row !== null)
      pen.strokeRect(frame.x - 2, frame.y + (pinned.row - frame.top) * frame.cell, frame.width + 4, size);
    if (pinned.column !== null)
      pen.strokeRect(
        frame.x + (pinned.column - frame.left) * frame.cell,
        frame.y - 2,
        size,
        frame.height + 4,
      );
    if (this.#hover) outlineCell(pen, frame, this.#hover, palette.ink);
    pen.restore();
  }
}
