import type { Axis } from "../attention/axis.js";
import { textAt } from "../attention/axis.js";
import { clamp } from "../basics.js";
import { type Context, togglePin } from "../context.js";
import { el, isShortcut, listenTo, setAttribute, setStyle } from "../dom.js";
import type { Side } from "../state.js";
import { contains, pieces, shown } from "../text.js";
import { type ColumnWindow, drawnMiddle, middleOf, visibleRange } from "./window.js";

export interface ColumnPaint {
  window: ColumnWindow;
  pinned: number | null;
  /** All that is pinned on this side, the one above first. */
  group: readonly number[];
  hovered: number | null;
  /** Units the token in question is strongly tied to. */
  bold: ReadonlySet<number>;
  wanted: string;
  dimSpecial: boolean;
}

const OVERSCAN = 4;

/** One column of tokens; only those near the window are elements. */
export class TokenColumn {
  readonly element: HTMLElement;
  #nodes = new Map<number, HTMLElement>();
  #axis: Axis | undefined;
  /** Where the tab key enters. */
  #entry = 0;

  constructor(
    readonly side: Side,
    readonly context: Context,
    readonly reveal: (unit: number) => void,
  ) {
    const label = side === "query" ? "Query tokens" : "Key tokens";
    this.element = el("div", { class: `tokens tokens-${side}`, role: "group", "aria-label": label });
    this.#listen();
  }

  paint(axis: Axis, paint: ColumnPaint): void {
    if (axis !== this.#axis) this.#clear(axis);
    this.#entry = Math.min(this.#entry, Math.max(0, axis.units.length - 1));
    const { from, to } = visibleRange(paint.window, OVERSCAN);
    const wanted = new Set<number>();
    for (let unit = from; unit < to; unit++) wanted.add(unit);
    if (paint.pinned !== null) wanted.add(paint.pinned);
    const focused = this.#focused();
    if (focused !== null) wanted.add(focused);
    for (const [unit, node] of this.#nodes) {
      if (wanted.has(unit)) continue;
      node.remove();
      this.#nodes.delete(unit);
    }
    const entry = this.#enterable(wanted, paint);
    for (const unit of wanted) this.#place(axis, unit, entry, paint);
  }

  #clear(axis: Axis): void {
    this.element.replaceChildren();
    this.#nodes.clear();
    this.#axis = axis;
  }

  /** The tab key must find a token that exists. */
  #enterable(wanted: ReadonlySet<number>, paint: ColumnPaint): number {
    if (wanted.has(this.#entry)) return this.#entry;
    if (paint.pinned !== null) return paint.pinned;
    return visibleRange(paint.window).from;
  }

  #place(axis: Axis, unit: number, entry: number, paint: ColumnPaint): void {
    const known = this.#nodes.get(unit);
    const node = known ?? this.#make(axis, unit);
    const pinned = paint.group.includes(unit);
    const drawn = drawnMiddle(paint.window, unit, paint.pinned);
    const y = (drawn ?? middleOf(paint.window, unit)) - paint.window.pitch / 2;
    setStyle(node, "transform", `translateY(${y.toFixed(1)}px)`);
    setStyle(node, "height", paint.window.pitch);
    setAttribute(node, "tabindex", unit === entry ? 0 : -1);
    setAttribute(node, "aria-pressed", String(pinned));
    node.classList.toggle("pinned", pinned);
    node.classList.toggle("covered", drawn === null);
    node.classList.toggle("hovered", paint.hovered === unit);
    node.classList.toggle("bold", paint.bold.has(unit));
    node.classList.toggle("found", contains(textAt(axis, unit), paint.wanted));
    node.classList.toggle("gone", paint.dimSpecial && axis.units[unit]?.special === true);
    if (!known) {
      this.#nodes.set(unit, node);
      const next = [...this.#nodes.keys()].filter((other) => other > unit).sort((a, b) => a - b)[0];
      this.element.insertBefore(node, next === undefined ? null : (this.#nodes.get(next) ?? null));
    }
  }

  #make(axis: Axis, unit: number): HTMLElement {
    const { text, from, special } = axis.units[unit] ?? { text: "", from: unit, special: false };
    const inner = el("span", { class: "token-text", dir: "auto" });
    for (const piece of pieces(text)) inner.append(piece.sign ? el("i", {}, piece.text) : piece.text);
    return el(
      "div",
      {
        class: special ? "token special" : "token",
        role: "button",
        "data-side": this.side,
        "data-index": from,
        "data-unit": unit,
        "aria-label": `${shown(text)}, ${this.side} ${from}`,
      },
      inner,
    );
  }

  #focused(): number | null {
    const root = this.element.getRootNode() as Document | ShadowRoot;
    return root.activeElement ? this.#unit(root.activeElement) : null;
  }

  #unit(target: EventTarget | null): number | null {
    const node = target instanceof Element ? target.closest<HTMLElement>("[data-unit]") : null;
    if (!node || !this.element.contains(node)) return null;
    return Number(node.dataset.unit);
  }

  #listen(): void {
    const { state, life, tooltip } = this.context;
    const hover = this.side === "query" ? state.page.hoverQuery : state.page.hoverKey;
    const on = listenTo(this.element, life);
    on("pointerover", (event) => {
      const unit = this.#unit(event.target);
      if (unit === null) return;
      hover.value = unit;
      this.#explain(unit);
    });
    on("pointerout", (event) => {
      if (this.#unit(event.relatedTarget) !== null) return;
      hover.value = null;
      tooltip.hide();
    });
    on("click", (event) => {
      const unit = this.#unit(event.target);
      if (unit === null) return;
      this.#entry = unit;
      togglePin(state, this.side, unit, event.shiftKey || event.ctrlKey || event.metaKey);
      this.#nodes.get(unit)?.focus({ preventScroll: true });
    });
    on("focusin", (event) => {
      const unit = this.#unit(event.target);
      if (unit === null || !(event.target as Element).matches(":focus-visible")) return;
      hover.value = unit;
    });
    on("focusout", (event) => {
      if (this.#unit(event.relatedTarget) === null) hover.value = null;
    });
    on("keydown", (event) => this.#key(event));
  }

  #explain(unit: number): void {
    const node = this.#nodes.get(unit);
    const inner = node?.firstElementChild;
    const text = this.#axis?.units[unit]?.text ?? "";
    if (node && inner && inner.scrollWidth > inner.clientWidth + 1) {
      this.context.tooltip.show(shown(text), node.getBoundingClientRect());
    } else this.context.tooltip.hide();
  }

  #key(event: KeyboardEvent): void {
    const unit = this.#unit(event.target);
    const last = (this.#axis?.units.length ?? 0) - 1;
    if (unit === null || isShortcut(event)) return;
    if (event.key === "Enter" || event.key === " ")
      togglePin(this.context.state, this.side, unit, event.shiftKey);
    else {
      const page = 10;
      const steps: Record<string, number> = {
        ArrowDown: unit + 1,
        ArrowUp: unit - 1,
        PageDown: unit + page,
        PageUp: unit - page,
        Home: 0,
        End: last,
      };
      const wanted = steps[event.key];
      if (wanted === undefined) return;
      this.focus(clamp(wanted, 0, last));
    }
    event.preventDefault();
    event.stopPropagation();
  }

  focus(unit: number): void {
    this.#entry = unit;
    this.reveal(unit);
    this.#nodes.get(unit)?.focus({ preventScroll: true });
  }
}
