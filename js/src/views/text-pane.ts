import { textAt } from "../attention/axis.js";
import { clamp } from "../basics.js";
import { el, isShortcut, listenTo, onSize, setAttribute, setStyle } from "../dom.js";
import { contains, shown } from "../text.js";
import { Rows } from "./rows.js";
import { PENDING } from "./text-flow.js";
import type { PaneEvents, PaneGround, PanePaint, PaneText } from "./text-given.js";
import { layOut, type Measure, type Placed, type TextLine } from "./text-layout.js";
import type { Look } from "./text-shade.js";

const MARGIN = 14;
const LEADING = 22;
const SLACK = 0.98;
const NOTHING: Look = { background: "", ink: "", masked: false };

/** A text of one side, set in lines; only those near the window are elements. */
export class TextPane {
  readonly rows: Rows;
  #lines: TextLine[] = [];
  #lineOf = new Int32Array(0);
  #text: PaneText | undefined;
  #paint: PanePaint | undefined;
  #width = 0;
  #spaces = false;
  #widths = new Map<string, number>();
  #looks = new WeakMap<HTMLElement, string>();
  /** Where the tab key enters. */
  #entry = 0;

  constructor(
    readonly ground: PaneGround,
    readonly events: PaneEvents,
    readonly repaint: () => void,
  ) {
    this.rows = new Rows(
      { build: (line) => this.#build(line), update: (node, line) => this.#update(node, line) },
      "text-lines",
      { role: "group" },
    );
    const later = () => ground.scheduler.paint(repaint);
    this.element.addEventListener("scroll", later, { signal: ground.life, passive: true });
    onSize(this.element, ground.life, later);
    this.#listen();
  }

  get element(): HTMLElement {
    return this.rows.element;
  }

  get pitch(): number {
    return LEADING + (this.#paint?.shade?.foot ?? 4);
  }

  paint(text: PaneText, paint: PanePaint): void {
    const width = this.element.clientWidth - 2 * MARGIN;
    if (width <= 0) return;
    const other = text.axis !== this.#text?.axis || text.flow !== this.#text.flow;
    const top = other ? null : this.#firstSeen();
    if (other || text.sections !== this.#text?.sections || width !== this.#width) this.#set(text, width, top);
    const before = this.#paint;
    this.#paint = paint;
    if (paint.spaces !== this.#spaces) {
      this.#spaces = paint.spaces;
      this.rows.clear();
    }
    if (before?.side !== paint.side) {
      this.rows.clear();
      setAttribute(this.rows.inner, "aria-label", `Text: ${paint.side} tokens`);
    }
    const last = Math.max(0, text.axis.units.length - 1);
    this.#entry = this.#visibleEntry(Math.min(this.#entry, last));
    const focused = this.#unit(this.#active());
    setStyle(this.element, "--foot", this.pitch - LEADING);
    this.rows.paint(this.#lines.length, this.pitch, focused === null ? null : this.#line(focused));
  }

  /** Breaks the text into lines anew and keeps the place. */
  #set(text: PaneText, width: number, top: number | null): void {
    this.#text = text;
    this.#width = width;
    this.#lines = layOut(text.flow, text.sections, width * SLACK, this.#measure());
    this.#lineOf = new Int32Array(text.axis.units.length).fill(-1);
    const heads = new Map<number, number>();
    this.#lines.forEach(({ placed, head }, at) => {
      if (head !== null) heads.set(head, at);
      for (const { piece, first } of placed) if (first) this.#lineOf[piece.unit] = at;
    });
    for (const { from, to, folded, passage } of text.sections)
      if (folded) this.#lineOf.fill(heads.get(passage) ?? 0, from, to);
    this.rows.clear();
    this.rows.paint(this.#lines.length, this.pitch, null);
    if (top !== null) this.rows.toTop(this.#line(top));
  }

  #measure(): Measure {
    const pen = el("canvas").getContext("2d");
    if (pen) pen.font = getComputedStyle(this.element).font;
    return (text) => {
      const known = this.#widths.get(text);
      if (known !== undefined) return known;
      const width = (pen?.measureText(text).width ?? text.length * 8) + (this.ground.gap ?? 0);
      this.#widths.set(text, width);
      return width;
    };
  }

  #line(unit: number): number {
    return Math.max(0, this.#lineOf[unit] ?? 0);
  }

  #firstSeen(): number | null {
    if (this.element.scrollTop === 0) return null;
    const { from, to } = this.rows.seen();
    for (let line = from; line < to; line++) {
      const placed = this.#lines[line]?.placed[0];
      if (placed) return placed.piece.unit;
    }
    return null;
  }

  /** The tab key must find a token that is there. */
  #visibleEntry(entry: number): number {
    const { from, to } = this.rows.seen();
    const line = this.#line(entry);
    if (line >= from && line < to && this.#lines[line]?.head === null) return entry;
    const pinned = this.#paint?.pinned[0];
    if (pinned !== undefined && this.#line(pinned) >= from && this.#line(pinned) < to) return pinned;
    for (let at = from; at < to; at++) {
      const found = this.#lines[at]?.placed.find(({ first }) => first);
      if (found) return found.piece.unit;
    }
    return entry;
  }

  #build(at: number): HTMLElement {
    const line = this.#lines[at] as TextLine;
    const node = el("div", { class: "text-line", dir: line.rtl ? "rtl" : "ltr" });
    if (line.head !== null) node.append(this.events.head?.(line.head) ?? "");
    for (const placed of line.placed) {
      const dots = this.#spaces && !this.ground.blank;
      if (placed.lead) node.append(dots ? el("i", {}, "·".repeat(placed.lead.length)) : placed.lead);
      node.append(this.#token(placed));
    }
    return node;
  }

  #token({ piece, text, first }: Placed): HTMLElement {
    const { unit, special, sign } = piece;
    const from = this.#text?.axis.units[unit]?.from ?? unit;
    const blank = sign && text !== PENDING && !this.#spaces;
    return el(
      "span",
      {
        class: `word${special ? " special" : ""}${sign ? " sign" : ""}`,
        "data-unit": unit,
        ...(first && { role: "button", "data-side": this.#paint?.side, "data-index": from }),
      },
      blank ? "\u00a0".repeat(Array.from(text).length) : text,
    );
  }

  #update(node: HTMLElement, at: number): void {
    const line = this.#lines[at] as TextLine;
    const paint = this.#paint;
    if (!paint) return;
    if (line.head !== null) {
      this.events.updateHead?.(node.firstElementChild as HTMLElement, line.head);
      return;
    }
    const ends = line.placed;
    const { marked } = paint;
    const inside = marked && ends.some(({ piece }) => piece.unit >= marked[0] && piece.unit < marked[1]);
    node.classList.toggle("marked", inside === true);
    for (const child of node.querySelectorAll<HTMLElement>("[data-unit]")) this.#dress(child, paint);
  }

  #dress(node: HTMLElement, paint: PanePaint): void {
    const unit = Number(node.dataset.unit);
    const look = paint.shade?.look(unit) ?? NOTHING;
    const { background, ink } = look;
    if (this.#looks.get(node) !== background) {
      this.#looks.set(node, background);
      node.style.background = background;
      node.style.color = ink;
    }
    const pinned = paint.pinned.includes(unit);
    node.classList.toggle("unseen", look.masked);
    node.classList.toggle("pinned", pinned);
    node.classList.toggle("paired", paint.paired.includes(unit));
    node.classList.toggle("hovered", paint.hovered === unit);
    const text = textAt((this.#text as PaneText).axis, unit);
    node.classList.toggle("found", contains(text, paint.wanted));
    if (!node.hasAttribute("role")) return;
    const numbers = paint.shade ? `: ${paint.shade.numbers(unit, 3)}` : "";
    setAttribute(node, "tabindex", unit === this.#entry ? 0 : -1);
    setAttribute(node, "aria-pressed", String(pinned));
    setAttribute(node, "aria-label", `${shown(text)}, ${paint.side} ${node.dataset.index}${numbers}`);
    for (const [name, value] of Object.entries(paint.shade?.exact?.(unit) ?? {}))
      setAttribute(node, name, value);
  }

  #active(): Element | null {
    return (this.element.getRootNode() as Document | ShadowRoot).activeElement;
  }

  #unit(target: EventTarget | null): number | null {
    const node = target instanceof Element ? target.closest<HTMLElement>("[data-unit]") : null;
    return node && this.element.contains(node) ? Number(node.dataset.unit) : null;
  }

  #node(unit: number): HTMLElement | null {
    return this.rows.node(this.#line(unit))?.querySelector<HTMLElement>(`[data-unit="${unit}"]`) ?? null;
  }

  /** Where a token is on the screen. */
  box(unit: number): DOMRect | null {
    return this.#node(unit)?.getBoundingClientRect() ?? null;
  }

  #listen(): void {
    const on = listenTo(this.element, this.ground.life);
    on("pointerover", (event) => {
      const unit = this.#unit(event.target);
      if (unit !== null) this.events.hover(unit);
    });
    on("pointerleave", () => this.events.hover(null));
    on("click", (event) => {
      const unit = this.#unit(event.target);
      if (unit === null || !this.#paint || String(getSelection())) return;
      this.#entry = unit;
      this.events.pin(unit, event.shiftKey || event.ctrlKey || event.metaKey);
      this.#node(unit)?.focus({ preventScroll: true });
    });
    on("focusin", (event) => {
      const unit = this.#unit(event.target);
      if (unit !== null && (event.target as Element).matches(":focus-visible")) this.events.hover(unit);
    });
    on("focusout", (event) => {
      if (this.#unit(event.relatedTarget) === null) this.events.hover(null);
    });
    on("keydown", (event) => this.#key(event));
  }

  #key(event: KeyboardEvent): void {
    const unit = this.#unit(event.target);
    if (unit === null || isShortcut(event) || !this.#paint) return;
    if (event.key === "Enter" || event.key === " ") this.events.pin(unit, event.shiftKey);
    else {
      const wanted = this.#step(event.key, unit);
      if (wanted === null) return;
      this.focus(wanted);
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #step(key: string, unit: number): number | null {
    const last = (this.#text?.axis.units.length ?? 1) - 1;
    const line = this.#line(unit);
    const forward = this.#lines[line]?.rtl ? -1 : 1;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.pitch) - 1);
    switch (key) {
      case "ArrowRight":
        return this.#unfolded(clamp(unit + forward, 0, last), forward, unit);
      case "ArrowLeft":
        return this.#unfolded(clamp(unit - forward, 0, last), -forward, unit);
      case "ArrowDown":
        return this.#across(unit, line, 1, 1);
      case "ArrowUp":
        return this.#across(unit, line, -1, 1);
      case "PageDown":
        return this.#across(unit, line, 1, page);
      case "PageUp":
        return this.#across(unit, line, -1, page);
      case "Home":
        return this.#unfolded(0, 1, unit);
      case "End":
        return this.#unfolded(last, -1, unit);
      default:
        return null;
    }
  }

  /** The next token that is not folded away. */
  #unfolded(from: number, by: number, otherwise: number): number {
    const last = this.#text?.axis.units.length ?? 0;
    for (let unit = from; unit >= 0 && unit < last; unit += by)
      if (this.#lines[this.#line(unit)]?.head === null) return unit;
    return otherwise;
  }

  /** The token nearest below or above, so many lines away. */
  #across(unit: number, line: number, by: 1 | -1, count: number): number {
    const here = this.box(unit);
    const filled = (at: number) => this.#lines[at]?.placed.some(({ first }) => first) === true;
    let target = line;
    let left = count;
    for (let at = line + by; at >= 0 && at < this.#lines.length && left > 0; at += by) {
      left -= 1;
      if (filled(at)) target = at;
      else if (left === 0) left = 1;
    }
    if (target === line || !here) return unit;
    this.rows.reveal(target);
    this.repaint();
    const middle = here.left + here.width / 2;
    let best = unit;
    let nearest = Number.POSITIVE_INFINITY;
    for (const { piece, first } of this.#lines[target]?.placed ?? []) {
      const box = first ? this.box(piece.unit) : null;
      const away = box ? Math.abs(box.left + box.width / 2 - middle) : Number.POSITIVE_INFINITY;
      if (away < nearest) [best, nearest] = [piece.unit, away];
    }
    return best;
  }

  focus(unit: number): void {
    this.#entry = unit;
    this.rows.reveal(this.#line(unit));
    this.repaint();
    this.#node(unit)?.focus({ preventScroll: true });
  }

  /** Brings a token into the window, at a third of its height if it is not there. */
  reveal(unit: number): void {
    this.rows.reveal(this.#line(unit), this.element.clientHeight / 3);
  }

  /** Brings the beginning of a passage to the top. */
  goTo(unit: number): void {
    const line = this.#line(unit);
    this.rows.toTop(this.#lines[line - 1]?.head != null ? line - 1 : line);
  }

  /** Draws what is on the screen on a picture whose corner is at `x`, `y`. */
  draw(pen: CanvasRenderingContext2D, x: number, y: number): void {
    const palette = this.ground.palette();
    pen.font = getComputedStyle(this.element).font;
    pen.textBaseline = "middle";
    const { from, to } = this.rows.seen();
    for (let line = from; line < to; line++) {
      for (const node of this.rows.node(line)?.querySelectorAll<HTMLElement>("[data-unit]") ?? []) {
        const box = node.getBoundingClientRect();
        const rect = new DOMRect(box.x - x, box.y - y, box.width, box.height);
        pen.fillStyle = palette.ink;
        this.#paint?.shade?.draw(pen, Number(node.dataset.unit), rect);
        pen.direction = this.#lines[line]?.rtl ? "rtl" : "ltr";
        pen.textAlign = "center";
        pen.fillText(
          node.textContent ?? "",
          rect.x + rect.width / 2,
          rect.y + (rect.height - (this.pitch - LEADING)) / 2,
        );
      }
    }
  }
}
