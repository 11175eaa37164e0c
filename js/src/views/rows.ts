import { clamp } from "../basics.js";
import { el, setStyle } from "../dom.js";

const OVERSCAN = 6;

export interface RowMaker {
  build(index: number): HTMLElement;
  update(node: HTMLElement, index: number): void;
}

/** A scroller over many rows of one height; only those near the window are elements. */
export class Rows {
  readonly inner: HTMLElement;
  readonly element: HTMLElement;
  #nodes = new Map<number, HTMLElement>();
  #pitch = 1;
  #count = 0;

  constructor(
    readonly maker: RowMaker,
    name: string,
    inner: Record<string, string> = {},
  ) {
    this.inner = el("div", { class: "rows-inner", ...inner });
    this.element = el("div", { class: `rows ${name}`, tabindex: -1 }, this.inner);
  }

  /** Forgets all rows, since what they show is another. */
  clear(): void {
    this.inner.replaceChildren();
    this.#nodes.clear();
  }

  paint(count: number, pitch: number, keep: number | null): void {
    this.#pitch = pitch;
    this.#count = count;
    setStyle(this.inner, "height", count * pitch);
    const { from, to } = this.seen(OVERSCAN);
    for (const [index, node] of this.#nodes) {
      if ((index >= from && index < to) || index === keep) continue;
      node.remove();
      this.#nodes.delete(index);
    }
    for (let index = from; index < to; index++) this.#place(index);
    if (keep !== null && keep < count) this.#place(keep);
  }

  /** The rows in the window, with some around it. */
  seen(more = 0): { from: number; to: number } {
    const { scrollTop, clientHeight } = this.element;
    const most = this.#count;
    const from = clamp(Math.floor(scrollTop / this.#pitch) - more, 0, most);
    return { from, to: clamp(Math.ceil((scrollTop + clientHeight) / this.#pitch) + more, from, most) };
  }

  node(index: number): HTMLElement | undefined {
    return this.#nodes.get(index);
  }

  /** Scrolls a row into the window: as little as needed, or to the place `aim` from its top. */
  reveal(index: number, aim?: number): void {
    const { scrollTop, clientHeight } = this.element;
    const top = index * this.#pitch;
    const inside = top >= scrollTop && top + this.#pitch <= scrollTop + clientHeight;
    if (aim !== undefined) {
      if (!inside) this.element.scrollTop = top - aim;
    } else if (top < scrollTop) this.element.scrollTop = top;
    else if (!inside) this.element.scrollTop = top + this.#pitch - clientHeight;
  }

  toTop(index: number): void {
    this.element.scrollTop = index * this.#pitch;
  }

  #place(index: number): void {
    const known = this.#nodes.get(index);
    const node = known ?? this.maker.build(index);
    setStyle(node, "transform", `translateY(${index * this.#pitch}px)`);
    setStyle(node, "height", this.#pitch);
    this.maker.update(node, index);
    if (known) return;
    this.#nodes.set(index, node);
    let next: number | undefined;
    for (const other of this.#nodes.keys())
      if (other > index && (next === undefined || other < next)) next = other;
    this.inner.insertBefore(node, next === undefined ? null : (this.#nodes.get(next) ?? null));
  }
}
