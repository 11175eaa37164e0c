import { clamp } from "../basics.js";
import { type Context, paletteOf } from "../context.js";
import { el, isShortcut, listenTo, onSize, prepare, setAttribute, setStyle, setText, watch } from "../dom.js";
import {
  columnAt,
  type FlowFrame,
  type FlowLink,
  paintBars,
  paintDiscs,
  paintFlowLinks,
  paintNames,
  rowAt,
} from "../draw/flow.js";
import { type Color, seriesColor } from "../draw/palette.js";
import { GridCell } from "../gridcell.js";
import type { Head, TokensInfo } from "../protocol.js";
import { shown } from "../text.js";
import { FlowChoices } from "./flow-choices.js";
import {
  type Drawn,
  evolutionOf,
  MOST_ROWS,
  type Routes,
  routesOf,
  shownLinks,
  shownRows,
  sizeOf,
} from "./flow-model.js";
import { makeFlowTable } from "./flow-table.js";
import { carriedNote, columnNames, layersNote, missingNote, sayNode } from "./flow-words.js";
import type { View } from "./registry.js";

const TOP = 22;

type Node = [token: number, column: number];

/** A token's strongest routes down through the layers, or its row of weights layer by layer. */
class Flow implements View {
  readonly element: HTMLElement;
  readonly #choices: FlowChoices;
  readonly #canvas = el("canvas", { "aria-hidden": "true" });
  readonly #spacer = el("div", { class: "flow-spacer" });
  readonly #grid = new GridCell("Tokens and layers");
  readonly #scroller: HTMLElement;
  readonly #note = el("div", { class: "legend flow-note" });
  readonly #twin = makeFlowTable();
  readonly #draw = () => this.#paint();
  #size = { width: 0, height: 0 };
  #cursor: Node = [-1, -1];
  #hover: Node | null = null;
  #drawn: Drawn | null = null;
  #of: unknown[] = [];
  /** The query whose row was brought into sight. */
  #revealed = -1;

  constructor(readonly context: Context) {
    const { state, life, scheduler } = context;
    this.#choices = new FlowChoices(context);
    const parts = [this.#canvas, this.#spacer, this.#grid.element];
    this.#scroller = el("div", { class: "flow-scroller", tabindex: -1 }, ...parts);
    this.element = el(
      "div",
      { class: "flow" },
      this.#choices.element,
      this.#scroller,
      this.#twin.element,
      this.#note,
    );
    onSize(this.#scroller, life, (width, height) => {
      this.#size = { width, height };
      this.#revealed = -1;
      scheduler.paint(this.#draw);
    });
    watch(life, () => {
      void state.now.kind.value;
      this.#cursor = [-1, -1];
      this.#hover = null;
    });
    watch(life, () => {
      const { routes, layers, table } = this.#choices;
      state.follow();
      void [routes.answer.value, layers.answer.value, table.value];
      scheduler.paint(this.#draw);
    });
    this.#listen();
  }

  get #keys(): TokensInfo {
    const { kind } = this.context.state.now;
    return kind.value.keys ?? kind.value.queries;
  }

  #read(): Drawn | null {
    const { state } = this.context;
    const { routes: routed, layers: layered } = this.#choices;
    const [first, second] = [routed.answer.value, layered.answer.value];
    const threshold = state.now.threshold.value;
    const of = [first, second, threshold];
    if (this.#drawn && of.every((one, at) => one === this.#of[at])) return this.#drawn;
    const routes = first && routesOf(first);
    const picture = routes ?? (second && evolutionOf(second));
    const query = (first ?? second)?.request.query;
    const kind = state.now.kind.value;
    if (!picture || query === undefined || picture.tokens !== this.#keys.text.length) return null;
    this.#of = of;
    const found = routes && shownLinks(routes, threshold);
    const ends = found?.links.flat().flatMap(({ above, below }) => [above, below]) ?? [];
    const own = kind.keys === null ? [query] : [];
    const { rows, missing } = shownRows(picture, [...new Set([...own, ...ends])].slice(0, MOST_ROWS));
    const place = new Map(rows.map((token, row) => [token, row]));
    const links = (found?.links ?? []).map((layer) =>
      layer.filter(({ above, below }) => place.has(above) && place.has(below)),
    );
    this.#drawn = { query, picture, routes, rows, place, links, missing };
    const note = found
      ? carriedNote(kind, found, threshold, routes.request.excess)
      : layersNote(kind, query, second?.request.head);
    if (rows.length < picture.tokens) note.push(missingNote(this.#drawn));
    this.#note.replaceChildren(...note);
    return this.#drawn;
  }

  #frame({ rows, picture }: Drawn): FlowFrame {
    const { width, height } = this.#size;
    const left = Math.min(118, Math.round(width * 0.26));
    const step = Math.max(18, (width - left - 6) / picture.columns);
    const pitch = clamp((height - TOP - 6) / rows.length, 19, 32);
    const { scrollLeft: x, scrollTop: y } = this.#scroller;
    const [count, columns] = [rows.length, picture.columns];
    return { width, height, left, top: TOP, pitch, step, x, y, rows: count, columns };
  }

  #paint(): void {
    const { life, state } = this.context;
    if (life.aborted || this.#size.width === 0) return;
    const drawn = this.#read();
    if (!drawn) {
      if (this.#choices.waits) setText(this.#note, "computing …");
      return;
    }
    const sizes = this.#frame(drawn);
    setStyle(this.#spacer, "width", Math.floor(sizes.left + sizes.columns * sizes.step));
    setStyle(this.#spacer, "height", Math.floor(TOP + sizes.rows * sizes.pitch));
    if (this.#revealed !== drawn.query) {
      this.#revealed = drawn.query;
      this.#reveal(drawn, [drawn.query, sizes.columns - 1]);
    }
    const frame = this.#frame(drawn);
    const pen = prepare(this.#canvas, frame.width, frame.height);
    if (pen) this.#paintAll(pen, frame, drawn);
    this.#paintCursor(frame, drawn);
    this.#twin.element.hidden = !this.#choices.table.value;
    if (this.#choices.table.value) {
      const names = drawn.rows.map((token): [number, string] => [token, shown(this.#keys.text[token] ?? "")]);
      this.#twin.paint(names, columnNames(state.now.kind.value, drawn), drawn.picture.value);
    }
    if (this.#hover) this.#explain(drawn, frame, this.#hover);
  }

  #paintCursor(frame: FlowFrame, drawn: Drawn): void {
    const { kind } = this.context.state.now;
    if (this.#cursor[0] < 0) this.#cursor = [drawn.query, frame.columns - 1];
    const row = drawn.place.get(this.#cursor[0]) ?? 0;
    this.#cursor = [drawn.rows[row] as number, clamp(this.#cursor[1], 0, frame.columns - 1)];
    const [token, column] = this.#cursor;
    const cell = this.#grid;
    cell.describe([frame.rows, frame.columns], [row, column], sayNode(kind.value, drawn, token, column));
    const value = drawn.picture.value(token, column);
    setAttribute(cell.cell, "data-weight", Number.isNaN(value) ? undefined : String(value));
    const [x, y] = [columnAt(frame, column) + frame.x, rowAt(frame, row) + frame.y];
    const [wide, tall] = [frame.step - 4, frame.pitch - 2];
    cell.place(x - wide / 2, y - tall / 2, wide, tall);
  }

  #paintAll(pen: CanvasRenderingContext2D, frame: FlowFrame, drawn: Drawn): void {
    const { state } = this.context;
    const palette = paletteOf(state);
    const { picture, routes, rows, place } = drawn;
    const colors = { more: seriesColor(palette, 0, 1), less: palette.diverging[1] as Color };
    const at = this.#hover;
    const value = (row: number, column: number) => picture.value(rows[row] as number, column);
    if (routes) {
      paintFlowLinks(pen, frame, this.#links(drawn, routes), colors);
      paintDiscs(pen, frame, value, colors, palette);
    } else paintBars(pen, frame, value, colors.more, palette);
    const { text, special } = this.#keys;
    const dim = new Set(special);
    const names = columnNames(state.now.kind.value, drawn);
    const chosen = routes ? drawn.query : state.synced.key.value;
    const bold = (row: number) => rows[row] === chosen || rows[row] === at?.[0];
    const row = (row: number) => shown(text[rows[row] as number] ?? "");
    const faint = (row: number) => dim.has(rows[row] as number);
    paintNames(pen, frame, { row, column: (column) => names[column] ?? "", bold, faint }, palette);
    const pointed = at && place.get(at[0]);
    if (pointed == null) return;
    pen.strokeStyle = palette.accent;
    pen.lineWidth = 1.5;
    const [wide, tall] = [frame.step - 4, frame.pitch - 2];
    pen.strokeRect(columnAt(frame, at?.[1] ?? 0) - wide / 2, rowAt(frame, pointed) - tall / 2, wide, tall);
  }

  #links({ links, place }: Drawn, { request: { excess } }: Routes): FlowLink[] {
    const at = this.#hover;
    let most = 1e-9;
    for (const link of links.flat()) most = Math.max(most, Math.abs(sizeOf(link, excess)));
    const found = links.flatMap((layer, column) =>
      layer.map((link): FlowLink => {
        const left = at !== null && column === at[1] && link.below === at[0];
        const right = at !== null && column + 1 === at[1] && link.above === at[0];
        const [from, to] = [place.get(link.below) as number, place.get(link.above) as number];
        const strength = sizeOf(link, excess) / most;
        return { from, to, column, strength, quiet: at !== null && !left && !right };
      }),
    );
    return found.sort((a, b) => Math.abs(a.strength) - Math.abs(b.strength));
  }

  #nodeAt(event: MouseEvent): Node | null {
    const drawn = this.#drawn;
    if (!drawn) return null;
    const frame = this.#frame(drawn);
    const box = this.#scroller.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (y < TOP || x < frame.left) return null;
    const token = drawn.rows[Math.floor((y - TOP + frame.y) / frame.pitch)];
    const column = Math.floor((x - frame.left + frame.x) / frame.step);
    return token !== undefined && column < frame.columns ? [token, column] : null;
  }

  #point(node: Node | null): void {
    if (String(node) === String(this.#hover)) return;
    this.#hover = node;
    if (!node) this.context.tooltip.hide();
    this.context.scheduler.paint(this.#draw);
  }

  #explain(drawn: Drawn, frame: FlowFrame, [token, column]: Node): void {
    const row = drawn.place.get(token);
    if (row === undefined) return;
    const box = this.#scroller.getBoundingClientRect();
    const [x, y] = [box.left + columnAt(frame, column), box.top + rowAt(frame, row)];
    const near = new DOMRect(x - 8, y - frame.pitch / 2, 16, frame.pitch);
    this.context.tooltip.show(sayNode(this.context.state.now.kind.value, drawn, token, column), near);
  }

  /** Follows this token from this layer on; layer by layer, goes to this key in this layer. */
  #pin([token, column]: Node): void {
    const { state } = this.context;
    const { kind, heads, layer: now } = state.now;
    const { layers } = kind.value;
    const routes = this.#drawn?.routes;
    const at = routes ? column - 1 : column;
    const layer = layers[at];
    this.#cursor = [token, column];
    const [, head] = heads.value[heads.value.length - 1] as Head;
    const nearest: Head[] = [[layer ?? 0, Math.min(head, (kind.value.heads[at] ?? 1) - 1)]];
    const there = layer === undefined ? {} : { heads: nearest };
    if (routes) {
      this.#choices.level.value = column === 0 || column === layers.length ? null : column;
      state.set({ query: token, more_queries: [], ...there });
    } else {
      const again = state.synced.key.value === token && now.value === layer;
      state.set({ key: again ? null : token, more_keys: [], ...there });
    }
  }

  #listen(): void {
    const { life, scheduler } = this.context;
    const on = listenTo(this.#scroller, life);
    on("scroll", () => scheduler.paint(this.#draw));
    on("pointermove", (event) => this.#point(this.#nodeAt(event)));
    on("pointerleave", () => this.#point(null));
    on("click", (event) => {
      const node = this.#nodeAt(event);
      if (node) this.#pin(node);
    });
    on("focusout", () => this.#point(null));
    on("keydown", (event) => this.#key(event));
  }

  #key(event: KeyboardEvent): void {
    const drawn = this.#drawn;
    if (!drawn || isShortcut(event) || event.target !== this.#grid.cell) return;
    const [token, column] = this.#cursor;
    const row = drawn.place.get(token) ?? 0;
    const steps: Record<string, [number, number]> = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      PageUp: [row - 10, column],
      PageDown: [row + 10, column],
      Home: [row, 0],
      End: [row, drawn.picture.columns - 1],
    };
    const step = steps[event.key];
    if (step) this.#move(drawn, step);
    else if (event.key === "Enter" || event.key === " ") this.#pin(this.#cursor);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #move(drawn: Drawn, [row, column]: [number, number]): void {
    const { state, scheduler } = this.context;
    const at = clamp(row, 0, drawn.rows.length - 1);
    this.#cursor = [drawn.rows[at] as number, clamp(column, 0, drawn.picture.columns - 1)];
    this.#hover = this.#cursor;
    this.#reveal(drawn, this.#cursor);
    state.page.spoken.value = sayNode(state.now.kind.value, drawn, ...this.#cursor);
    scheduler.paint(this.#draw);
  }

  #reveal(drawn: Drawn, [token, column]: Node): void {
    const row = drawn.place.get(token);
    if (row === undefined) return;
    const frame = this.#frame(drawn);
    const [x, y] = [columnAt(frame, column), rowAt(frame, row)];
    const [wide, tall] = [frame.step / 2, frame.pitch / 2];
    if (y - tall < TOP) this.#scroller.scrollTop += y - tall - TOP;
    else if (y + tall > frame.height) this.#scroller.scrollTop += y + tall - frame.height;
    if (x - wide < frame.left) this.#scroller.scrollLeft += x - wide - frame.left;
    else if (x + wide > frame.width) this.#scroller.scrollLeft += x + wide - frame.width;
  }

  choices() {
    const { isRouted, all, excess, level } = this.#choices;
    const most = this.context.state.now.kind.value.layers.length;
    return { layered: !isRouted, all: all.value, excess: excess.value, level: level.value ?? most };
  }

  picture(): HTMLCanvasElement | null {
    const drawn = this.#drawn;
    if (!drawn) return null;
    const { width, height } = this.#size;
    const canvas = el("canvas");
    const pen = prepare(canvas, width, height);
    if (!pen) return null;
    pen.fillStyle = paletteOf(this.context.state).ground;
    pen.fillRect(0, 0, width, height);
    this.#paintAll(pen, this.#frame(drawn), drawn);
    return canvas;
  }
}

export function createFlow(context: Context): View {
  return new Flow(context);
}
