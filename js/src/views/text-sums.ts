import { clamp } from "../basics.js";
import { type Context, colorOf, inkOf } from "../context.js";
import type { Series } from "../data.js";
import { el, isShortcut, listenTo, onSize, setAttribute, setStyle, setText } from "../dom.js";
import { css } from "../draw/palette.js";
import { fixed } from "../text.js";
import { Rows } from "./rows.js";
import type { Passage } from "./text-passages.js";

/** One passage, or what lies in none. */
export interface SumRow {
  /** Null for what lies in no passage. */
  passage: number | null;
  label: string;
  /** One per series; undefined until it is here. */
  sums: (number | undefined)[];
}

export interface SumsPaint {
  rows: readonly SumRow[];
  series: readonly Series[];
  folded: ReadonlySet<number>;
  chosen: number | null;
}

export interface SumsEvents {
  go(passage: number): void;
  fold(passage: number, folded?: boolean): void;
}

const LABEL = 20;
const BAR = 15;

/** Bars with the numbers of one row, one per series. */
export function makeBars(series: number): HTMLElement {
  const bars = el("span", { class: "sum-bars" });
  for (let at = 0; at < series; at++) {
    const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("i"));
    bars.append(el("span", { class: "sum-bar" }, bar, el("span", { class: "number" })));
  }
  return bars;
}

/** The one selected last stands first, as in the inspector. */
export function paintBars(
  bars: HTMLElement,
  context: Context,
  series: readonly Series[],
  sums: readonly (number | undefined)[],
  most: number,
): void {
  [...bars.children].forEach((line, place) => {
    const at = series.length - 1 - place;
    const value = sums[at];
    const number = line.lastElementChild as HTMLElement;
    const fill = line.querySelector("i") as HTMLElement;
    setText(number, value === undefined ? "…" : fixed(value, 3));
    setAttribute(number, "data-weight", value);
    setStyle(fill, "width", `${(100 * clamp(Math.abs(value ?? 0) / most, 0, 1)).toFixed(1)}%`);
    fill.classList.toggle("against", (value ?? 0) < 0);
    setStyle(line as HTMLElement, "--fill", css(colorOf(context, series, at)));
    setStyle(line as HTMLElement, "--ink", css(inkOf(context, series, at)));
  });
}

/** The passages of a text with what their numbers add up to. */
export class Sums {
  readonly rows: Rows;
  #paint: SumsPaint = { rows: [], series: [], folded: new Set(), chosen: null };
  /** The largest sum there is, which has the longest bar. */
  most = 1;
  #at = 0;
  #shape = "";

  constructor(
    readonly context: Context,
    readonly events: SumsEvents,
    readonly repaint: () => void,
  ) {
    this.rows = new Rows(
      { build: () => this.#build(), update: (node, row) => this.#update(node, row) },
      "text-sums",
      { role: "tree", "aria-label": "Passages and their sums" },
    );
    const later = () => context.scheduler.paint(repaint);
    this.element.addEventListener("scroll", later, { signal: context.life, passive: true });
    onSize(this.element, context.life, later);
    this.#listen();
  }

  get element(): HTMLElement {
    return this.rows.element;
  }

  paint(paint: SumsPaint): void {
    this.#paint = paint;
    const shape = String(paint.series.length);
    if (shape !== this.#shape) this.rows.clear();
    this.#shape = shape;
    this.most = Math.max(1e-12, ...paint.series.map((_, at) => mostOf(paint.rows, at)));
    this.#at = clamp(this.#at, 0, Math.max(0, paint.rows.length - 1));
    this.rows.paint(paint.rows.length, LABEL + BAR * paint.series.length + 4, this.#at);
  }

  #build(): HTMLElement {
    const arrow = el("span", { class: "sum-arrow", "aria-hidden": "true" });
    const label = el("span", { class: "sum-label", dir: "auto" });
    const bars = makeBars(this.#paint.series.length);
    return el("div", { class: "sum-row", role: "treeitem" }, arrow, label, bars);
  }

  #update(node: HTMLElement, at: number): void {
    const { rows, series, folded, chosen } = this.#paint;
    const row = rows[at];
    if (!row) return;
    const [arrow, label, bars] = [...node.children] as [HTMLElement, HTMLElement, HTMLElement];
    const { passage } = row;
    const isFolded = passage !== null && folded.has(passage);
    setText(arrow, passage === null ? "" : isFolded ? "▸" : "▾");
    setText(label, row.label);
    setAttribute(node, "title", row.label);
    paintBars(bars, this.context, series, row.sums, this.most);
    setAttribute(node, "data-row", at);
    setAttribute(node, "data-passage", passage ?? undefined);
    setAttribute(node, "tabindex", at === this.#at ? 0 : -1);
    setAttribute(node, "aria-expanded", passage === null ? undefined : String(!isFolded));
    setAttribute(node, "aria-selected", String(passage !== null && passage === chosen));
    setAttribute(node, "aria-setsize", rows.length);
    setAttribute(node, "aria-posinset", at + 1);
    setAttribute(node, "aria-level", 1);
    const sums = row.sums.map(
      (sum, place) => `${series[place]?.short}: ${sum === undefined ? "not here yet" : fixed(sum, 3)}`,
    );
    setAttribute(node, "aria-label", `${row.label}, ${sums.reverse().join(", ")}`);
  }

  #row(target: EventTarget | null): number | null {
    const node = target instanceof Element ? target.closest<HTMLElement>("[data-row]") : null;
    return node ? Number(node.dataset.row) : null;
  }

  #listen(): void {
    const on = listenTo(this.element, this.context.life);
    on("click", (event) => {
      const row = this.#row(event.target);
      if (row === null) return;
      this.#move(row);
      const passage = this.#paint.rows[row]?.passage ?? null;
      if (passage === null) return;
      if ((event.target as Element).closest(".sum-arrow")) this.events.fold(passage);
      else this.events.go(passage);
    });
    on("keydown", (event) => {
      const row = this.#row(event.target);
      if (row === null || isShortcut(event)) return;
      if (!this.#key(event.key, row)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  #key(key: string, row: number): boolean {
    const passage = this.#paint.rows[row]?.passage ?? null;
    const last = this.#paint.rows.length - 1;
    const steps: Record<string, number> = {
      ArrowDown: row + 1,
      ArrowUp: row - 1,
      PageDown: row + 8,
      PageUp: row - 8,
      Home: 0,
      End: last,
    };
    const step = steps[key];
    if (step !== undefined) this.#move(clamp(step, 0, last));
    else if (passage !== null && key === "Enter") this.events.go(passage);
    else if (passage !== null && key === " ") this.events.fold(passage);
    else if (passage !== null && key === "ArrowLeft") this.events.fold(passage, true);
    else if (passage !== null && key === "ArrowRight") this.events.fold(passage, false);
    else return false;
    return true;
  }

  #move(row: number): void {
    this.#at = row;
    this.rows.reveal(row);
    this.repaint();
    this.rows.node(row)?.focus({ preventScroll: true });
  }
}

function mostOf(rows: readonly SumRow[], series: number): number {
  let most = 0;
  for (const { sums } of rows) most = Math.max(most, Math.abs(sums[series] ?? 0));
  return most;
}

/** The rows of the panel: in the text's order, or the largest sum first. */
export function sumRows(
  passages: readonly Passage[],
  sums: readonly ({ sums: number[]; rest: number } | undefined)[],
  restLabel: string | null,
  bySize: boolean,
): SumRow[] {
  const rows: SumRow[] = passages.map(({ label }, passage) => ({
    passage,
    label,
    sums: sums.map((one) => one?.sums[passage]),
  }));
  if (restLabel !== null) rows.push({ passage: null, label: restLabel, sums: sums.map((one) => one?.rest) });
  if (!bySize) return rows;
  const first = sums.length - 1;
  return rows.sort((a, b) => Math.abs(b.sums[first] ?? 0) - Math.abs(a.sums[first] ?? 0));
}
