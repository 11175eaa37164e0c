import { untracked } from "@preact/signals-core";
import { textAt } from "../attention/axis.js";
import { formOf, isShare } from "../attention/measure.js";
import { atEnd, clamp, range } from "../basics.js";
import { type Context, colorOf, paletteOf } from "../context.js";
import type { Series } from "../data.js";
import { el, onSize, prepare, setStyle, setText, watch } from "../dom.js";
import { type LinkBundle, paintLinks, paintSquare } from "../draw/links.js";
import { css } from "../draw/palette.js";
import type { Side } from "../state.js";
import { shown } from "../text.js";
import { type ColumnPaint, TokenColumn } from "./column.js";
import { legendText } from "./legend.js";
import { emphasisOf, type Line, rowReaching, rowStrengths, strongest } from "./lines.js";
import type { View } from "./registry.js";
import {
  type ColumnWindow,
  drawnMiddle,
  heldMiddle,
  middleOf,
  offsetOf,
  pitchFor,
  type Spare,
  scrollTo,
  visibleRange,
} from "./window.js";

const OVERSCAN = 6;
/** How often a scroll may change what is asked for. */
const ASK_MS = 40;
const BOLD = 0.25;
const HEAD = 20;
const LOOKS = ([0, 1, 2] as const).flatMap((emphasis) =>
  [false, true].map((dashed) => [emphasis, dashed] as const),
);
const TITLES = { query: "query (from)", key: "key (to)" } as const;

interface Layout {
  width: number;
  height: number;
  left: number;
  right: number;
  squares: number;
  square: number;
}

class Links implements View {
  readonly element: HTMLElement;
  readonly #canvas = el("canvas", { "aria-hidden": "true" });
  readonly #stage = el("div", { class: "stage" });
  readonly #spacer = el("div");
  readonly #scroller: HTMLElement;
  readonly #legend = el("div", { class: "legend" });
  readonly #titles = {
    query: el("div", { class: "column-title" }, TITLES.query),
    key: el("div", { class: "column-title" }, TITLES.key),
  };
  readonly #columns: { query: TokenColumn; key: TokenColumn };
  readonly #draw = () => this.#paint();
  readonly #ask: (job: () => void) => void;
  #missing = false;
  /** How many lines there are. */
  #count = 0;
  #layout: Layout = { width: 0, height: 0, left: 0, right: 0, squares: 0, square: 0 };
  #drawn: Line[] = [];

  constructor(readonly context: Context) {
    const { life, state, data, scheduler } = context;
    this.#ask = scheduler.settle(ASK_MS, true);
    this.#columns = {
      query: new TokenColumn("query", context, (unit) => this.#step("query", unit)),
      key: new TokenColumn("key", context, (unit) => this.#step("key", unit)),
    };
    this.#stage.append(this.#canvas, this.#columns.query.element, this.#columns.key.element);
    this.#scroller = el("div", { class: "scroller", tabindex: -1 }, this.#stage, this.#spacer);
    this.element = el(
      "div",
      { class: "links" },
      this.#titles.query,
      this.#titles.key,
      this.#scroller,
      this.#legend,
    );
    this.#scroller.addEventListener("scroll", () => scheduler.paint(this.#draw), {
      signal: life,
      passive: true,
    });
    atEnd(life, () => {
      data.need("links", []);
      data.needColumns("links key", []);
    });
    onSize(this.#scroller, life, () => scheduler.paint(this.#draw));
    watch(life, () => {
      state.follow();
      void data.version.value;
      scheduler.paint(this.#draw);
    });
    watch(life, () => {
      const [query, key] = [state.now.query.value, state.now.key.value];
      untracked(() => {
        if (query !== null || key !== null) this.#revealPinned();
      });
    });
  }

  get #seen(): boolean {
    return this.#layout.width > 0 && this.#layout.height > 0;
  }

  #window(side: "query" | "key"): ColumnWindow {
    const { queries, keys } = this.context.state.now;
    const { height } = this.#layout;
    const counts = { query: queries.value.units.length, key: keys.value.units.length };
    const tallest = Math.max(counts.query, counts.key);
    const pitch = pitchFor(height, tallest);
    const offset = offsetOf(this.#scroller.scrollTop, counts[side] * pitch, tallest * pitch, height);
    return { count: counts[side], pitch, height, offset };
  }

  #tallest(): number {
    const { query, key } = { query: this.#window("query"), key: this.#window("key") };
    return Math.max(query.count, key.count) * query.pitch;
  }

  #scroll(side: Side, unit: number, spare: Spare): void {
    const target = scrollTo(this.#window(side), unit, this.#tallest(), this.#scroller.scrollTop, spare);
    if (target !== null) this.#scroller.scrollTop = target;
  }

  /** What the keyboard steps to must not end under a pinned row that is held at the edge. */
  #step(side: Side, unit: number): void {
    const { pitch } = this.#window(side);
    this.#scroll(side, unit, { least: pitch, aim: pitch });
    this.#paint();
  }

  /** A pinned token out of sight comes to the middle. */
  #revealPinned(): void {
    const { query, key } = this.context.state.now;
    const { height } = this.#layout;
    if (!this.#seen) return;
    const side = query.value === null ? "key" : "query";
    const unit = query.value ?? key.value;
    if (unit !== null) this.#scroll(side, unit, { least: 0, aim: height / 2 });
    this.#paint();
  }

  #measure(series: number): void {
    const width = this.#scroller.clientWidth;
    const height = this.#scroller.clientHeight;
    const squares = clamp(Math.round(width * 0.12), 22, series * 22);
    this.#layout = {
      width,
      height,
      left: Math.round(width * 0.324),
      right: Math.round(width * 0.666),
      squares,
      square: Math.min(20, squares / series - 2),
    };
    const { left, right } = this.#layout;
    setStyle(this.#stage, "height", height);
    setStyle(this.#spacer, "height", Math.max(0, this.#tallest() - height));
    setStyle(this.#columns.query.element, "width", left - 4);
    setStyle(this.#columns.key.element, "left", right + squares + 4);
    setStyle(this.#titles.query, "width", left - 10);
    setStyle(this.#titles.key, "left", right + squares + 10);
  }

  #paint(): void {
    const { state, data, life } = this.context;
    if (life.aborted) return;
    const { now } = state;
    const series = data.series;
    const unseen = !this.#seen;
    this.#measure(series.length);
    if (!this.#seen) return;
    if (unseen) {
      this.#revealPinned();
      return;
    }
    const windows = { query: this.#window("query"), key: this.#window("key") };
    this.#ask(() => this.#request());
    const bold = { query: new Set<number>(), key: new Set<number>() };
    const all = this.#lines(series, windows.query, bold);
    this.#drawn = strongest(all);
    this.#paintCanvas(series, windows);
    const paint = (side: "query" | "key"): ColumnPaint => ({
      window: windows[side],
      pinned: now[side].value,
      group: now.pinned[side].value,
      hovered: (side === "query" ? state.page.hoverQuery : state.page.hoverKey).value,
      bold: bold[side],
      wanted: state.page.wanted.value,
      dimSpecial: side === "key" && !state.synced.special_tokens.value,
    });
    this.#columns.query.paint(now.queries.value, paint("query"));
    this.#columns.key.paint(now.keys.value, paint("key"));
    setText(
      this.#legend,
      legendText(this.context, series, {
        drawn: this.#drawn.length,
        all: this.#count,
        missing: this.#missing,
      }),
    );
  }

  #request(): void {
    const { state, data, life } = this.context;
    if (life.aborted) return;
    const { from, to } = visibleRange(this.#window("query"), OVERSCAN);
    const rows = range(from, to);
    data.need("links", [...state.now.active.query.value, ...rows]);
    data.needColumns("links key", state.now.active.key.value);
  }

  #lines(
    series: readonly Series[],
    window: ColumnWindow,
    bold: { query: Set<number>; key: Set<number> },
  ): Line[] {
    const { state, data } = this.context;
    const { active, pinned, measure, threshold } = state.now;
    const [queries, keys] = [new Set(active.query.value), new Set(active.key.value)];
    const signed = formOf(measure.value) === "signed";
    const { from, to } = visibleRange(window);
    const shownRows = new Set(range(from, to));
    const mineToo = new Set([...queries, ...pinned.query.value]);
    for (const row of mineToo) shownRows.add(row);
    const lines: Line[] = [];
    this.#missing = false;
    this.#count = 0;
    const scale = state.synced.color_scale.value;
    series.forEach((one, index) => {
      for (const row of shownRows) {
        const values = data.row(one, row)?.values;
        if (!values) {
          this.#missing = true;
          continue;
        }
        const strengths = rowStrengths(values, measure.value, scale);
        const mine = mineToo.has(row);
        const found = rowReaching(values, measure.value, scale, threshold.value);
        this.#count += found.count;
        for (const at of found.places) {
          const strength = strengths[at] as number;
          const emphasis = emphasisOf(mine, keys.has(at), queries.size > 0, keys.size > 0);
          const negative = (values[at] as number) < 0 && signed;
          lines.push({ series: index, query: row, key: at, strength, emphasis, negative });
          if (queries.has(row) && strength >= BOLD) bold.key.add(at);
          if (queries.size === 0 && keys.has(at) && strength >= BOLD) bold.query.add(row);
        }
      }
      if (queries.size > 0) return;
      for (const key of keys) this.#incoming(one, index, key, shownRows, lines, bold.query);
    });
    return lines;
  }

  /** Lines to the key in question from queries that are not in the window. */
  #incoming(
    one: Series,
    index: number,
    key: number,
    known: ReadonlySet<number>,
    lines: Line[],
    bold: Set<number>,
  ): void {
    const { measure, threshold } = this.context.state.now;
    if (!isShare(measure.value)) return;
    const column = this.context.data.column(one, key);
    if (!column) return;
    for (const row of rowReaching(column, measure.value, "linear", threshold.value).places) {
      if (known.has(row)) continue;
      const value = column[row] as number;
      lines.push({ series: index, query: row, key, strength: Math.min(1, value), emphasis: 2 });
      this.#count += 1;
      if (value >= BOLD) bold.add(row);
    }
  }

  #paintCanvas(series: readonly Series[], windows: { query: ColumnWindow; key: ColumnWindow }): void {
    const { left, right, height, squares } = this.#layout;
    setStyle(this.#canvas, "left", left);
    const pen = prepare(this.#canvas, right - left + squares + 4, height);
    if (pen) this.#paintLinks(pen, series, windows);
  }

  #paintLinks(
    pen: CanvasRenderingContext2D,
    series: readonly Series[],
    windows: { query: ColumnWindow; key: ColumnWindow },
  ): void {
    const { left, right, height } = this.#layout;
    const pinned = this.context.state.now;
    const quiet = pinned.activeQuery.value !== null || pinned.activeKey.value !== null;
    const edge = (y: number) => Math.min(height + 40, Math.max(-40, y));
    const bundles: LinkBundle[] = [];
    series.forEach((_, index) => {
      for (const [emphasis, dashed] of LOOKS) {
        const mine = this.#drawn.filter(
          (line) =>
            line.series === index && line.emphasis === emphasis && (line.negative ?? false) === dashed,
        );
        if (mine.length === 0) continue;
        const links = mine.map(({ query, key, strength }) => ({
          from:
            query === pinned.query.value
              ? heldMiddle(windows.query, query)
              : edge(middleOf(windows.query, query)),
          to: key === pinned.key.value ? heldMiddle(windows.key, key) : edge(middleOf(windows.key, key)),
          strength,
        }));
        bundles.push({ color: colorOf(this.context, series, index), links, emphasis, dashed });
      }
    });
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, right - left + 2, height);
    pen.clip();
    paintLinks(pen, { width: right - left, height, quiet }, bundles);
    pen.restore();
    this.#paintSquares(pen, series, windows.key);
  }

  #paintSquares(pen: CanvasRenderingContext2D, series: readonly Series[], window: ColumnWindow): void {
    const { state, data } = this.context;
    const queries = state.now.active.query.value;
    if (queries.length === 0) return;
    const { left, right, squares, square } = this.#layout;
    const { from, to } = visibleRange(window);
    const pinned = state.now.key.value;
    const signed = formOf(state.now.measure.value) === "signed";
    const keys = new Set(range(from, to));
    if (pinned !== null) keys.add(pinned);
    series.forEach((one, index) => {
      const values = data.rowsTogether(one, queries);
      if (!values) return;
      const strengths = rowStrengths(values, state.now.measure.value, state.synced.color_scale.value);
      const x = right - left + 4 + (squares / series.length) * index;
      for (const key of keys) {
        const strength = strengths[key] as number;
        const middle = drawnMiddle(window, key, pinned);
        if (Number.isNaN(strength) || middle === null) continue;
        paintSquare(
          pen,
          [x, middle - square / 2, square],
          colorOf(this.context, series, index),
          strength,
          signed && (values[key] as number) < 0,
        );
      }
    });
  }

  choices() {
    const span = (side: Side) => Object.values(visibleRange(this.#window(side)));
    return { queries: span("query"), keys: span("key") };
  }

  picture(): HTMLCanvasElement | null {
    const { width, height, left, right, squares } = this.#layout;
    const { state, data } = this.context;
    const canvas = el("canvas");
    const pen = prepare(canvas, width, height + HEAD);
    if (!pen) return null;
    const palette = paletteOf(state);
    pen.fillStyle = palette.ground;
    pen.fillRect(0, 0, width, height + HEAD);
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const windows = { query: this.#window("query"), key: this.#window("key") };
    for (const side of ["query", "key"] as const) {
      const axis = (side === "query" ? state.now.queries : state.now.keys).value;
      const x = side === "query" ? left - 10 : right + squares + 10;
      pen.textAlign = side === "query" ? "right" : "left";
      pen.fillStyle = palette.faint;
      pen.font = "11px system-ui, sans-serif";
      pen.fillText(TITLES[side], x, HEAD / 2);
      const { from, to } = visibleRange(windows[side]);
      for (let unit = from; unit < to; unit++) {
        const active = unit === state.now[side].value;
        pen.font = `${active ? "bold " : ""}13px system-ui, sans-serif`;
        pen.fillStyle = axis.units[unit]?.special ? palette.faint : palette.ink;
        const room = side === "query" ? left - 14 : width - x - 4;
        pen.fillText(shown(textAt(axis, unit)), x, HEAD + middleOf(windows[side], unit), room);
      }
    }
    pen.translate(left, HEAD);
    this.#paintLinks(pen, data.series, windows);
    pen.fillStyle = css([0, 0, 0], 0);
    return canvas;
  }
}

export function createLinks(context: Context): View {
  return new Links(context);
}
