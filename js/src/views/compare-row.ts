import { textAt } from "../attention/axis.js";
import type { Context } from "../context.js";
import { paletteOf } from "../context.js";
import { valuesOf } from "../controls/subject.js";
import type { Series } from "../data.js";
import { el, onSize, setAttribute, setStyle, setText } from "../dom.js";
import { css } from "../draw/palette.js";
import type { Side } from "../state.js";
import { fixed, shown, spoken } from "../text.js";
import type { Second } from "./compare-second.js";
import { Rows } from "./rows.js";

const PITCH = 24;
const NAMES = ["A", "B", "B − A"] as const;

/** One token of both sides: its numbers in the first, in the second, and what they differ by. */
interface Line {
  text: string;
  numbers: [number | undefined, number | undefined, number | undefined];
}

/** The row, or the column, of the pinned token in both captures, number beside number. */
export class RowPair {
  readonly element: HTMLElement;
  readonly rows: Rows;
  readonly #title = el("p", { class: "pair-title" });
  #lines: Line[] = [];
  #most = 1;

  constructor(
    readonly context: Context,
    repaint: () => void,
  ) {
    this.rows = new Rows(
      { build: () => this.#build(), update: (node, at) => this.#update(node, at) },
      "pair-rows",
      {
        role: "list",
        "aria-label": "Numbers of both captures",
      },
    );
    this.rows.element.tabIndex = 0;
    setAttribute(this.rows.element, "role", "region");
    setAttribute(this.rows.element, "aria-label", "Rows of both captures");
    const head = el("div", { class: "pair-head", "aria-hidden": "true" }, el("span", {}, "token"));
    for (const name of NAMES) head.append(el("span", {}, name));
    this.element = el("div", { class: "pair-view" }, this.#title, head, this.rows.element);
    const later = () => context.scheduler.paint(repaint);
    this.rows.element.addEventListener("scroll", later, { signal: context.life, passive: true });
    onSize(this.rows.element, context.life, later);
  }

  /** What is pinned: the query, or, if there is none, the key. */
  get pinned(): { side: Side; units: readonly number[] } | null {
    const { pinned } = this.context.state.now;
    if (pinned.query.value.length > 0) return { side: "query", units: pinned.query.value };
    return pinned.key.value.length > 0 ? { side: "key", units: pinned.key.value } : null;
  }

  request(series: Series, second: Second): void {
    const pinned = this.pinned;
    for (const [context, units] of this.#asked(pinned, second)) {
      context.data.need("compare row", pinned?.side === "query" ? units : [], [series]);
      context.data.needColumns("compare column", pinned?.side === "key" ? units : []);
    }
  }

  #asked(pinned: RowPair["pinned"], second: Second): [Context, number[]][] {
    const across = pinned?.side === "key" ? second.keys : second.queries;
    const theirs = (pinned?.units ?? []).flatMap((unit) => across.bOfA.get(unit) ?? []);
    return [
      [this.context, [...(pinned?.units ?? [])]],
      [second.context, theirs],
    ];
  }

  paint(series: Series, second: Second, bySize: boolean): void {
    const pinned = this.pinned;
    this.#lines = pinned ? this.#read(series, second, pinned, bySize) : [];
    this.#most = 1e-12;
    for (const { numbers } of this.#lines)
      for (const number of numbers)
        if (Math.abs(number ?? 0) > this.#most) this.#most = Math.abs(number as number);
    this.#say(series, second, pinned);
    this.rows.paint(this.#lines.length, PITCH, null);
  }

  #say(series: Series, second: Second, pinned: RowPair["pinned"]): void {
    if (!pinned) {
      setText(this.#title, "Pin a token to lay its rows side by side: click one in the matrices.");
      return;
    }
    const axis = (pinned.side === "query" ? this.context.state.now.queries : this.context.state.now.keys)
      .value;
    const name = pinned.units.map((unit) => spoken(textAt(axis, unit))).join(" + ");
    const across = pinned.side === "query" ? second.queries : second.keys;
    const lone = pinned.units.every((unit) => !across.bOfA.has(unit));
    const verb = pinned.side === "query" ? "attends to" : "is attended by";
    setText(
      this.#title,
      `${name} ${verb} · ${series.short}${lone ? " · the second text has no such token" : ""}`,
    );
  }

  #read(
    series: Series,
    second: Second,
    pinned: { side: Side; units: readonly number[] },
    bySize: boolean,
  ): Line[] {
    const [[, mine], [, theirs]] = this.#asked(pinned, second) as [[Context, number[]], [Context, number[]]];
    const values = (context: Context, units: number[]) => {
      const [unit] = units;
      if (unit === undefined) return undefined;
      return valuesOf(context, series, { side: pinned.side, unit, units, pinned: true, other: null });
    };
    const fits = second.missing(series) === "";
    const [a, b] = [values(this.context, mine), fits ? values(second.context, theirs) : undefined];
    const along = pinned.side === "query" ? second.keys : second.queries;
    const lines = along.slots.map((slot, at): Line => {
      const one = slot.a === null ? undefined : a?.[slot.a];
      const two = slot.b === null ? undefined : b?.[slot.b];
      const change = one === undefined || two === undefined ? undefined : two - one;
      return { text: textAt(along.axis, at), numbers: [one, two, change] };
    });
    const size = ({ numbers: [one, two, change] }: Line) => Math.abs(change || one || two || 0);
    return bySize ? lines.sort((x, y) => size(y) - size(x)) : lines;
  }

  #build(): HTMLElement {
    const node = el("div", { class: "pair-row", role: "listitem" }, el("bdi", { class: "sum-label" }));
    for (const name of NAMES)
      node.append(
        el(
          "span",
          { class: "sum-bar" },
          el("span", { class: "bar", "aria-hidden": "true" }, el("i")),
          el("span", { class: "number", "data-of": name }),
        ),
      );
    return node;
  }

  #update(node: HTMLElement, at: number): void {
    const line = this.#lines[at];
    if (!line) return;
    const [label, ...bars] = [...node.children] as HTMLElement[];
    setText(label as HTMLElement, shown(line.text));
    const { diverging } = paletteOf(this.context.state);
    bars.forEach((bar, place) => {
      const value = line.numbers[place];
      const text = bar.lastElementChild as HTMLElement;
      const fill = bar.querySelector("i") as HTMLElement;
      fill.hidden = value === undefined;
      setText(text, value === undefined ? "–" : `${place === 2 && value > 0 ? "+" : ""}${fixed(value)}`);
      setAttribute(text, "data-weight", value);
      setAttribute(text, "aria-label", `${NAMES[place]} ${value === undefined ? "none" : fixed(value)}`);
      setStyle(fill, "width", `${((100 * Math.abs(value || 0)) / this.#most).toFixed(1)}%`);
      const shade = place === 2 ? diverging[(value ?? 0) < 0 ? 1 : diverging.length - 2] : undefined;
      setStyle(bar, "--fill", shade ? css(shade) : "var(--faint)");
    });
  }
}
