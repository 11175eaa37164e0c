import { textAt } from "../attention/axis.js";
import { clamp } from "../basics.js";
import { type Context, togglePin } from "../context.js";
import { el, isShortcut, listenTo, setAttribute, setStyle, setText } from "../dom.js";
import type { Side } from "../state.js";
import { fixed, pieces, shown } from "../text.js";

const MOST = 800;

export interface WordsContent {
  side: Side;
  /** Units that lie in no image. */
  units: readonly number[];
  value(unit: number): number | undefined;
  strength(value: number): number;
  pinned: readonly number[];
  pointed: number | null;
}

/** The tokens beside the image, each with its number. */
export class Words {
  readonly element = el("div", { class: "words", role: "group", "aria-label": "Words" });
  #nodes = new Map<number, HTMLElement>();
  #of = "";
  #side: Side = "query";

  constructor(readonly context: Context) {
    this.#listen();
  }

  paint(content: WordsContent): void {
    const units = content.units.slice(0, MOST);
    const { kind } = this.context.state.now;
    const of = `${kind.value.kind}|${content.side}|${units.length}|${units[units.length - 1]}|${this.context.state.synced.whole_words.value}`;
    if (of !== this.#of) this.#build(of, content.side, units);
    this.element.hidden = units.length === 0;
    for (const unit of units) {
      const node = this.#nodes.get(unit);
      if (!node) continue;
      const value = content.value(unit);
      const number = node.querySelector(".number") as HTMLElement;
      setText(number, value === undefined ? "" : fixed(value));
      const exact = value === undefined || Number.isNaN(value) ? undefined : String(value);
      setAttribute(number, "data-weight", exact);
      const share = value === undefined ? 0 : content.strength(value);
      setStyle(node, "--share", `${(100 * (Number.isNaN(share) ? 0 : clamp(share, 0, 1))).toFixed(1)}%`);
      setAttribute(node, "aria-pressed", String(content.pinned.includes(unit)));
      node.classList.toggle("pinned", content.pinned.includes(unit));
      node.classList.toggle("hovered", content.pointed === unit);
    }
  }

  #build(of: string, side: Side, units: readonly number[]): void {
    this.#of = of;
    this.#side = side;
    this.#nodes.clear();
    const { queries, keys } = this.context.state.now;
    const axis = (side === "query" ? queries : keys).value;
    const nodes = units.map((unit, at) => {
      const name = el("bdi");
      for (const piece of pieces(textAt(axis, unit)))
        name.append(piece.sign ? el("i", {}, piece.text) : piece.text);
      const from = axis.units[unit]?.from ?? unit;
      const node = el(
        "div",
        {
          class: axis.units[unit]?.special ? "image-word special" : "image-word",
          role: "button",
          tabindex: at === 0 ? 0 : -1,
          "data-side": side,
          "data-index": from,
          "data-unit": unit,
          "aria-label": `${shown(textAt(axis, unit))}, ${side} ${from}`,
        },
        name,
        el("span", { class: "number" }),
      );
      this.#nodes.set(unit, node);
      return node;
    });
    this.element.replaceChildren(...nodes);
  }

  #unit(target: EventTarget | null): number | null {
    const node = target instanceof Element ? target.closest<HTMLElement>("[data-unit]") : null;
    return node && this.element.contains(node) ? Number(node.dataset.unit) : null;
  }

  #point(unit: number | null): void {
    const { page } = this.context.state;
    (this.#side === "query" ? page.hoverQuery : page.hoverKey).value = unit;
  }

  #listen(): void {
    const { state, life } = this.context;
    const on = listenTo(this.element, life);
    on("pointerover", (event) => this.#point(this.#unit(event.target)));
    on("pointerleave", () => this.#point(null));
    on("focusin", (event) => {
      if ((event.target as Element).matches(":focus-visible")) this.#point(this.#unit(event.target));
    });
    on("focusout", () => this.#point(null));
    on("click", (event) => {
      const unit = this.#unit(event.target);
      if (unit !== null) togglePin(state, this.#side, unit, event.shiftKey || event.ctrlKey || event.metaKey);
    });
    on("keydown", (event) => {
      const unit = this.#unit(event.target);
      if (unit === null || isShortcut(event)) return;
      const order = [...this.#nodes.keys()];
      const at = order.indexOf(unit);
      const last = order.length - 1;
      const steps: Record<string, number> = {
        ArrowDown: at + 1,
        ArrowRight: at + 1,
        ArrowUp: at - 1,
        ArrowLeft: at - 1,
        Home: 0,
        End: last,
      };
      const step = steps[event.key];
      if (step !== undefined) this.#focus(order[clamp(step, 0, last)] as number);
      else if (event.key === "Enter" || event.key === " ") togglePin(state, this.#side, unit, event.shiftKey);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  #focus(unit: number): void {
    for (const [other, node] of this.#nodes) setAttribute(node, "tabindex", other === unit ? 0 : -1);
    this.#nodes.get(unit)?.focus();
  }
}
