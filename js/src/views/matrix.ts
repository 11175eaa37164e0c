import { textAt } from "../attention/axis.js";
import { isShare, labelOf } from "../attention/measure.js";
import { atEnd, range } from "../basics.js";
import { type Context, paletteOf } from "../context.js";
import type { Series } from "../data.js";
import { button, el, onSize, prepare, revealIn, setAttribute, setText, watch } from "../dom.js";
import { type HeatFrame, outlineCell, type Painted, type Visible, visibleCells } from "../draw/heatmap.js";
import { css, type Palette, rampAt } from "../draw/palette.js";
import { GridCell } from "../gridcell.js";
import { makeColorScale } from "../scale.js";
import { fixed, spoken } from "../text.js";
import { Cells, MOST_EXACT, sumOf } from "./cells.js";
import { removedMass } from "./legend.js";
import { type Gestures, listen } from "./matrix-gestures.js";
import { HeatLayer } from "./matrix-heat.js";
import { paintLabels, paintTotals } from "./matrix-labels.js";
import { cellIn, MatrixWindow } from "./matrix-window.js";
import type { View } from "./registry.js";
import { clampViewport, type Room } from "./viewport.js";

const TOP = 62;
const END = 40;

class Matrix extends MatrixWindow implements View, Gestures {
  readonly element: HTMLElement;
  readonly #canvas = el("canvas", { "aria-hidden": "true" });
  readonly #plot: HTMLElement;
  readonly #grid = new GridCell("Attention matrix: rows are queries, columns are keys");
  readonly #switch = el("div", { class: "head-switch", role: "group", "aria-label": "Head shown" });
  readonly #scale = makeColorScale();
  readonly #maskedName = el("span");
  readonly #masked = el("span", { class: "masked" }, el("i", { class: "swatch" }), this.#maskedName);
  readonly #note = el("span", { class: "legend-note" });
  readonly #cells: Cells;
  readonly #heat = new HeatLayer();
  protected readonly redraw = () => this.#paint();
  #size = { width: 0, height: 0 };
  #painted: Painted = { masked: false, pooled: false };
  #chosen = "";
  #hover: [number, number] | null = null;

  constructor(context: Context) {
    super(context);
    const { life, scheduler, state, data } = context;
    this.#cells = new Cells(context, () => scheduler.paint(this.redraw));
    this.#plot = el("div", { class: "plot" }, this.#canvas, this.#grid.element);
    const legend = el("div", { class: "legend" }, this.#scale.element, this.#masked, this.#note);
    this.element = el(
      "div",
      { class: "matrix" },
      el("div", { class: "matrix-bar" }, this.#switch, this.zooming),
      this.#plot,
      legend,
    );
    onSize(this.#plot, life, (width, height) => {
      this.#size = { width, height };
      scheduler.paint(this.redraw);
    });
    watch(life, () => {
      void [state.now.queries.value, state.now.keys.value];
      this.restart();
      this.cursor = [0, 0];
      this.#hover = null;
      context.tooltip.hide();
    });
    atEnd(life, () => data.need("matrix", []));
    listen(this, this.#canvas, this.#grid.cell, life);
    watch(life, () => {
      state.follow();
      void data.version.value;
      scheduler.paint(this.redraw);
    });
  }

  get #series(): Series {
    const all = this.context.data.series;
    return all.find((one) => one.name === this.#chosen) ?? (all[all.length - 1] as Series);
  }

  get room(): Room {
    const { queries, keys } = this.context.state.now;
    const { width, height } = this.#size;
    return {
      width: Math.max(20, width - this.#left - END),
      height: Math.max(20, height - TOP - END),
      rows: queries.value.units.length,
      columns: keys.value.units.length,
    };
  }

  get #left(): number {
    return Math.min(104, Math.round(this.#size.width * 0.24));
  }

  /** The plot's corner inside the canvas. */
  get corner(): { x: number; y: number } {
    const { x, y } = this.#frame();
    return { x, y };
  }

  cellAt(x: number, y: number): [number, number] | null {
    return cellIn(this.#frame(), x, y);
  }

  hover(cell: [number, number] | null): void {
    const { page } = this.context.state;
    if (String(cell) === String(this.#hover)) return;
    this.#hover = cell;
    page.hoverQuery.value = cell?.[0] ?? null;
    page.hoverKey.value = cell?.[1] ?? null;
    if (cell) this.explain(this.#canvas, this.#frame(), cell);
    else this.context.tooltip.hide();
    this.later();
  }

  pin([row, column]: [number, number]): void {
    const { state } = this.context;
    const { queries, keys, query, key } = state.now;
    this.cursor = [row, column];
    if (query.value === row && key.value === column) state.set({ query: null, key: null });
    else {
      const place = { query: queries.value.units[row]?.from, key: keys.value.units[column]?.from };
      if (place.query !== undefined && place.key !== undefined)
        state.set({ query: place.query, key: place.key });
    }
    this.later();
  }

  pinCursor(): void {
    this.pin(this.cursor);
  }

  #frame(): HeatFrame {
    const { rows, columns, width, height } = this.room;
    const view = clampViewport(this.view, this.room);
    const wide = Math.min(width, columns * view.cell);
    const tall = Math.min(height, rows * view.cell);
    return {
      ...view,
      rows,
      columns,
      width: wide,
      height: tall,
      x: this.#left + Math.max(0, (width - wide) / 2),
      y: TOP,
    };
  }

  protected say([row, column]: [number, number]): string {
    const { queries, keys } = this.context.state.now;
    const seen = visibleCells(this.#frame());
    const value = this.#cells.reader(this.#series, seen)(row, column);
    const names = `${spoken(textAt(queries.value, row))} → ${spoken(textAt(keys.value, column))}`;
    if (value === undefined) return `${names}: not here yet`;
    if (Number.isNaN(value)) return `${names}: masked`;
    const largest = this.#cells.isExact(seen) ? "" : "largest nearby, ";
    return `${names}: ${largest}${fixed(value, 6)}`;
  }

  #paint(): void {
    const { life } = this.context;
    if (life.aborted || this.#size.width === 0) return;
    this.clamp();
    const series = this.#series;
    const seen = visibleCells(this.#frame());
    this.#cells.request(series, seen);
    this.#paintSwitch();
    const pen = prepare(this.#canvas, this.#size.width, this.#size.height);
    if (pen) this.#paintPlot(pen, series);
    this.#paintLegend(series);
    if (this.#hover) this.explain(this.#canvas, this.#frame(), this.#hover);
    this.placeCursor(this.#grid, this.#frame());
  }

  /** The colours of the cells: zero in the middle where numbers have a sign. */
  #palette(seen: Visible): Palette {
    const palette = paletteOf(this.context.state);
    return this.#cells.signed(seen) ? { ...palette, ramp: palette.diverging } : palette;
  }

  #paintPlot(pen: CanvasRenderingContext2D, series: Series): void {
    const { state } = this.context;
    const frame = this.#frame();
    const seen = visibleCells(frame);
    const palette = this.#palette(seen);
    this.#painted = this.#heat.paint(pen, {
      frame,
      size: this.#size,
      dark: state.page.dark.value,
      palette,
      of: this.#cells.scale(series, seen).of,
      read: this.#cells.reader(series, seen),
      grain: this.#cells.grain(seen),
      zero: this.#cells.signed(seen) ? 0.5 : 0,
    });
    const { query, key } = state.now;
    const marks = { row: this.#hover?.[0] ?? query.value, column: this.#hover?.[1] ?? key.value };
    paintLabels(pen, frame, [state.now.queries.value, state.now.keys.value], marks, palette);
    if (this.#cells.isExact(seen) && isShare(state.now.measure.value)) this.#paintTotals(pen, series, frame);
    pen.save();
    pen.beginPath();
    pen.rect(frame.x - 1, frame.y - 1, frame.width + 2, frame.height + 2);
    pen.clip();
    this.#paintMarks(pen, frame);
    pen.restore();
  }

  #paintMarks(pen: CanvasRenderingContext2D, frame: HeatFrame): void {
    const palette = paletteOf(this.context.state);
    const band = (row: number | null, column: number | null, color: string) => {
      pen.strokeStyle = color;
      pen.lineWidth = 1.5;
      const size = Math.max(2, frame.cell);
      if (row !== null)
        pen.strokeRect(frame.x - 2, frame.y + (row - frame.top) * frame.cell, frame.width + 4, size);
      if (column !== null)
        pen.strokeRect(frame.x + (column - frame.left) * frame.cell, frame.y - 2, size, frame.height + 4);
    };
    const { query, key } = this.context.state.now;
    if (this.#hover) band(...this.#hover, palette.faint);
    band(query.value, key.value, palette.accent);
    if (query.value !== null && key.value !== null)
      outlineCell(pen, frame, [query.value, key.value], palette.ink);
  }

  #paintTotals(pen: CanvasRenderingContext2D, series: Series, frame: HeatFrame): void {
    const { data, state } = this.context;
    const seen = visibleCells(frame);
    const few = frame.rows * frame.columns <= MOST_EXACT;
    const all = few ? range(0, frame.rows).map((row) => data.row(series, row)?.values) : [];
    const columns = new Float32Array(frame.columns);
    const whole = few && all.every((row) => row !== undefined);
    for (const row of all)
      row?.forEach((value, at) => {
        if (!Number.isNaN(value)) columns[at] = (columns[at] as number) + value;
      });
    const rows = new Map(
      range(seen.top, seen.bottom).map((row) => [row, sumOf(data.row(series, row)?.values)]),
    );
    paintTotals(
      pen,
      frame,
      (row) => rows.get(row) ?? 0,
      whole ? (at) => columns[at] as number : null,
      paletteOf(state),
    );
  }

  #paintSwitch(): void {
    const all = this.context.data.series;
    const current = this.#series.name;
    const names = all.map((one) => one.name).join("|");
    if (this.#switch.dataset.names !== names) {
      this.#switch.dataset.names = names;
      this.#switch.replaceChildren(
        ...all.map((one) => {
          const choose = () => {
            this.#chosen = one.name;
            this.later();
          };
          return button({ class: "small", title: one.name }, choose, one.short);
        }),
      );
    }
    const buttons = [...this.#switch.children] as HTMLElement[];
    for (const [at, node] of buttons.entries())
      setAttribute(node, "aria-pressed", String(all[at]?.name === current));
    const pressed = buttons[all.findIndex((one) => one.name === current)];
    const shown = `${names}|${current}|${this.#size.width}`;
    if (pressed && this.#switch.dataset.shown !== shown) revealIn(this.#switch, pressed);
    this.#switch.dataset.shown = shown;
  }

  #paintLegend(series: Series): void {
    const { state } = this.context;
    const seen = visibleCells(this.#frame());
    const { domain } = this.#cells.scale(series, seen);
    const { ramp } = this.#palette(seen);
    this.#scale.paint(
      (strength) => css(rampAt(ramp, strength)),
      domain,
      labelOf(this.#cells.measure(seen)),
      state.synced.color_scale.value,
    );
    this.#masked.hidden = !this.#painted.masked;
    setText(this.#maskedName, state.synced.special_tokens.value ? "masked" : "masked or hidden");
    const { rows, columns } = this.room;
    const notes = [`${rows} × ${columns}`];
    if (this.#cells.waits(series, seen)) notes.unshift("computing the overview …");
    else if (this.#painted.pooled || !this.#cells.isExact(seen))
      notes.unshift("overview: largest of neighbours; zoom in for exact numbers");
    if (isShare(state.now.measure.value) && this.#cells.isExact(seen))
      notes.push("bars: sums of rows and columns");
    const removed = removedMass(this.context, [series], state.now.activeQuery.value);
    if (removed) notes.push(removed);
    setText(this.#note, notes.join(" · "));
  }

  choices() {
    const { top, bottom, left, right } = visibleCells(this.#frame());
    const only = this.context.data.series.findIndex(({ name }) => name === this.#series.name);
    return { only, queries: [top, bottom], keys: [left, right] };
  }

  picture(): HTMLCanvasElement | null {
    const canvas = el("canvas");
    const pen = prepare(canvas, this.#size.width, this.#size.height);
    if (!pen) return null;
    pen.fillStyle = paletteOf(this.context.state).ground;
    pen.fillRect(0, 0, this.#size.width, this.#size.height);
    this.#paintPlot(pen, this.#series);
    return canvas;
  }
}

export function createMatrix(context: Context): View {
  return new Matrix(context);
}
