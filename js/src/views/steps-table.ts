import { clamp } from "../basics.js";
import { type Context, paletteOf } from "../context.js";
import { button, el, isShortcut, listenTo, setAttribute, setStyle, setText } from "../dom.js";
import { type Color, css } from "../draw/palette.js";
import { fixed, pieces, shown } from "../text.js";

/** One step of the arithmetic as a column. */
export interface Column {
  name: string;
  title: string;
  value(row: number): number;
  /** Whether its numbers are weights, with bars. */
  bar?: boolean;
}

export interface TableContent {
  /** What each row is called; beyond the keys, the learned sink. */
  names: readonly string[];
  columns: readonly Column[];
  /** Rows in the order shown. */
  order: Int32Array;
  sort: Sort;
  pinned: number | null;
  pointed: number | null;
  special: ReadonlySet<number>;
  fill: Color;
}

export type Sort = "position" | "weight";

export interface TableActions {
  sort(by: Sort): void;
  point(row: number | null): void;
  pin(row: number): void;
}

const PITCH = 24;
const OVERSCAN = 6;

/** The keys as rows; only those near the window are elements. */
export class StepsTable {
  readonly element: HTMLElement;
  readonly scroller: HTMLElement;
  readonly #header = el("div", { class: "steps-row steps-header", role: "row", "aria-rowindex": 1 });
  readonly #stage = el("div", { class: "steps-stage", role: "rowgroup" });
  readonly #sorts: Record<Sort, HTMLButtonElement>;
  #nodes = new Map<number, HTMLElement>();
  #content: TableContent | null = null;
  #shape = "";
  #entry = 0;

  constructor(
    readonly context: Context,
    readonly actions: TableActions,
  ) {
    const sorter = (by: Sort, text: string) => button({ class: "sorter" }, () => actions.sort(by), text);
    this.#sorts = { position: sorter("position", "key"), weight: sorter("weight", "weight") };
    this.element = el(
      "div",
      { class: "steps-table", role: "grid", "aria-label": "The row step by step: one row per key" },
      el("div", { class: "steps-top", role: "rowgroup" }, this.#header),
      this.#stage,
    );
    this.scroller = el("div", { class: "steps-scroller", tabindex: -1 }, this.element);
    this.#listen();
  }

  paint(content: TableContent): void {
    const shape = `${content.columns.map(({ name }) => name).join("|")}|${content.names.length}`;
    if (shape !== this.#shape) this.#build(content, shape);
    const focused = this.#focused();
    if (focused !== null && content.order !== this.#content?.order)
      this.#entry = content.order.indexOf(focused);
    this.#content = content;
    for (const by of ["position", "weight"] as const) {
      const cell = this.#sorts[by].parentElement;
      const direction = by === "position" ? "ascending" : "descending";
      if (cell) setAttribute(cell, "aria-sort", content.sort === by ? direction : "none");
    }
    const { order } = content;
    this.#entry = clamp(this.#entry, 0, Math.max(0, order.length - 1));
    setStyle(this.#stage, "height", order.length * PITCH);
    setAttribute(this.element, "aria-rowcount", order.length + 1);
    setAttribute(this.element, "aria-colcount", content.columns.length + 1);
    const top = this.scroller.scrollTop;
    const from = clamp(Math.floor(top / PITCH) - OVERSCAN, 0, order.length);
    const to = clamp(Math.ceil((top + this.scroller.clientHeight) / PITCH) + OVERSCAN, 0, order.length);
    const wanted = new Map<number, number>();
    for (let place = from; place < to; place++) wanted.set(order[place] as number, place);
    if (focused !== null) wanted.set(focused, order.indexOf(focused));
    for (const [row, node] of this.#nodes) {
      if (wanted.has(row)) continue;
      node.remove();
      this.#nodes.delete(row);
    }
    const entry = this.#entry >= from && this.#entry < to ? this.#entry : from;
    for (const [row, place] of wanted) this.#place(content, row, place, place === entry);
  }

  /** Which rows are on the screen, for what is to be asked for. */
  visible(): number[] {
    return [...this.#nodes.keys()];
  }

  #build({ columns }: TableContent, shape: string): void {
    this.#shape = shape;
    this.#stage.replaceChildren();
    this.#nodes.clear();
    const widths = columns.map(({ bar }) => (bar ? "minmax(104px, 1.9fr)" : "minmax(54px, 0.8fr)"));
    setStyle(this.element, "--columns", String(columns.length));
    setStyle(this.element, "--template", `minmax(84px, 1.1fr) ${widths.join(" ")}`);
    const head = (title: string, ...content: (Node | string)[]) =>
      el("div", { role: "columnheader", title }, ...content);
    this.#header.replaceChildren(
      head("the token attended to; sorts by position", this.#sorts.position),
      ...columns.map(({ name, title, bar }) => {
        if (!bar) return head(title, name);
        setText(this.#sorts.weight, name);
        return head(`${title}; sorts by weight`, this.#sorts.weight);
      }),
    );
  }

  #place(content: TableContent, row: number, place: number, entry: boolean): void {
    const node = this.#nodes.get(row) ?? this.#make(content, row);
    setStyle(node, "transform", `translateY(${place * PITCH}px)`);
    setAttribute(node, "aria-rowindex", place + 2);
    setAttribute(node, "tabindex", entry ? 0 : -1);
    setAttribute(node, "aria-selected", String(content.pinned === row));
    node.classList.toggle("pinned", content.pinned === row);
    node.classList.toggle("hovered", content.pointed === row);
    const masked = Number.isNaN(content.columns.find(({ bar }) => bar)?.value(row));
    node.classList.toggle("masked-row", masked);
    content.columns.forEach((column, at) => {
      const cell = node.children[at + 1] as HTMLElement;
      const value = column.value(row);
      const text = cell.querySelector(".number") as HTMLElement;
      if (column.bar) {
        setText(text, masked ? "masked" : fixed(value));
        const bar = cell.querySelector("i") as HTMLElement;
        setStyle(bar, "width", `${(100 * (masked ? 0 : clamp(value, 0, 1))).toFixed(2)}%`);
        setStyle(bar, "background", css(content.fill));
      } else setText(text, Number.isNaN(value) ? "–" : written(value));
      setAttribute(text, "data-weight", Number.isNaN(value) ? undefined : String(value));
    });
    if (!this.#nodes.has(row)) {
      this.#nodes.set(row, node);
      this.#stage.append(node);
    }
  }

  #make({ names, columns, special }: TableContent, row: number): HTMLElement {
    const name = el("bdi", { class: "token-text" });
    for (const piece of pieces(names[row] ?? ""))
      name.append(piece.sign ? el("i", {}, piece.text) : piece.text);
    const first = el(
      "div",
      { role: "rowheader" },
      name,
      el("small", {}, this.#isSink(row) ? "" : String(row)),
    );
    const cells = columns.map(({ bar }) => {
      const number = el("span", { class: "number" });
      if (!bar) return el("div", { role: "gridcell" }, number);
      const track = el("span", { class: "bar", "aria-hidden": "true" }, el("i"));
      return el("div", { role: "gridcell", class: "weight-cell" }, track, number);
    });
    const node = el("div", { class: "steps-row", role: "row", "data-row": row }, first, ...cells);
    if (!this.#isSink(row)) {
      setAttribute(node, "data-side", "key");
      setAttribute(node, "data-index", row);
    }
    node.classList.toggle("special", special.has(row) || this.#isSink(row));
    return node;
  }

  #isSink(row: number): boolean {
    return row >= this.context.state.now.keys.value.length;
  }

  #focused(): number | null {
    const root = this.element.getRootNode() as Document | ShadowRoot;
    return root.activeElement ? this.#row(root.activeElement) : null;
  }

  #row(target: EventTarget | null): number | null {
    const node = target instanceof Element ? target.closest<HTMLElement>("[data-row]") : null;
    return node && this.#stage.contains(node) ? Number(node.dataset.row) : null;
  }

  #listen(): void {
    const { life, scheduler } = this.context;
    const on = listenTo(this.scroller, life);
    on("scroll", () => scheduler.paint(() => this.#content && this.paint(this.#content)));
    on("pointerover", (event) => {
      const row = this.#row(event.target);
      if (row !== null) this.actions.point(row);
    });
    on("pointerleave", () => this.actions.point(null));
    on("click", (event) => {
      const row = this.#row(event.target);
      if (row === null || !this.#content) return;
      this.#entry = this.#content.order.indexOf(row);
      this.actions.pin(row);
      this.#nodes.get(row)?.focus({ preventScroll: true });
    });
    on("focusin", (event) => {
      const row = this.#row(event.target);
      if (row !== null && (event.target as Element).matches(":focus-visible")) this.actions.point(row);
    });
    on("focusout", (event) => {
      if (this.#row(event.relatedTarget) === null) this.actions.point(null);
    });
    on("keydown", (event) => this.#key(event));
  }

  #key(event: KeyboardEvent): void {
    const row = this.#row(event.target);
    if (row === null || !this.#content || isShortcut(event)) return;
    const place = this.#content.order.indexOf(row);
    const last = this.#content.order.length - 1;
    const steps: Record<string, number> = {
      ArrowDown: place + 1,
      ArrowUp: place - 1,
      PageDown: place + 10,
      PageUp: place - 10,
      Home: 0,
      End: last,
    };
    const next = steps[event.key];
    if (next !== undefined) this.focus(clamp(next, 0, last));
    else if (event.key === "Enter" || event.key === " ") this.actions.pin(row);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  focus(place: number): void {
    if (!this.#content) return;
    this.#entry = place;
    const header = this.#header.offsetHeight;
    const { scrollTop, clientHeight } = this.scroller;
    const y = place * PITCH;
    if (y < scrollTop) this.scroller.scrollTop = y;
    else if (y + PITCH + header > scrollTop + clientHeight)
      this.scroller.scrollTop = y + PITCH + header - clientHeight;
    this.paint(this.#content);
    this.#nodes.get(this.#content.order[place] as number)?.focus({ preventScroll: true });
  }

  /** A picture of what is on the screen. */
  picture(canvas: HTMLCanvasElement, pen: CanvasRenderingContext2D): void {
    const palette = paletteOf(this.context.state);
    const corner = this.scroller.getBoundingClientRect();
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const write = (node: Element, text: string, right: boolean) => {
      const box = node.getBoundingClientRect();
      if (box.bottom < corner.top || box.top > corner.bottom) return;
      pen.fillStyle = palette.ink;
      pen.textAlign = right ? "right" : "left";
      pen.fillText(
        text,
        (right ? box.right : box.left) - corner.left,
        (box.top + box.bottom) / 2 - corner.top,
      );
    };
    for (const bar of this.#stage.querySelectorAll(".bar i")) {
      const box = bar.getBoundingClientRect();
      if (box.bottom < corner.top || box.top > corner.bottom) continue;
      pen.fillStyle = css(this.#content?.fill ?? [0, 0, 0]);
      pen.fillRect(box.left - corner.left, box.top - corner.top, box.width, box.height);
    }
    for (const [row, node] of this.#nodes) {
      const name = node.querySelector(".token-text");
      if (name) write(name, shown(this.#content?.names[row] ?? ""), false);
      for (const number of node.querySelectorAll(".number")) write(number, number.textContent ?? "", true);
    }
    pen.fillStyle = palette.ground;
    pen.fillRect(0, 0, canvas.width, this.#header.offsetHeight);
    for (const cell of this.#header.children)
      write(cell, cell.textContent ?? "", cell !== this.#header.firstChild);
  }
}

/** A number that is no share, short. */
export function written(value: number): string {
  if (value === Number.NEGATIVE_INFINITY) return "−∞";
  const size = Math.abs(value);
  return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3).replace("-", "−");
}
