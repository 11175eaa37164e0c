import { untracked } from "@preact/signals-core";
import { textAt } from "../attention/axis.js";
import { atEnd } from "../basics.js";
import { type Context, colorOf, paletteOf, togglePin } from "../context.js";
import { type Subject, valuesOf } from "../controls/subject.js";
import { button, el, prepare, setAttribute, setText, watch } from "../dom.js";
import type { Side } from "../state.js";
import { spoken } from "../text.js";
import type { View } from "./registry.js";
import { makeTextBar, type TextBar } from "./text-bar.js";
import { Folds } from "./text-folds.js";
import { TextLegend } from "./text-legend.js";
import { TextPane } from "./text-pane.js";
import { addsUp, type Passage, sumsOf } from "./text-passages.js";
import { PreparedTexts } from "./text-prepared.js";
import { other, Reading } from "./text-reading.js";
import { Shade } from "./text-shade.js";
import { makeBars, paintBars, type SumRow, Sums, sumRows } from "./text-sums.js";

const ASK_MS = 40;

class Text implements View {
  readonly element: HTMLElement;
  readonly #panes: Record<Side, TextPane>;
  readonly #boxes: Record<Side, HTMLElement>;
  readonly #sums: Sums;
  readonly #bar: TextBar;
  readonly #legend: TextLegend;
  readonly #reading: Reading;
  readonly #texts: PreparedTexts;
  readonly #folds = new Folds();
  readonly #draw = () => this.#paint();
  readonly #ask: (job: () => void) => void;
  #bySize = false;
  #chosen: number | null = null;
  #rows = new Map<number, SumRow>();

  constructor(readonly context: Context) {
    const { life, state, data, scheduler } = context;
    this.#legend = new TextLegend(context);
    this.#reading = new Reading(context);
    this.#texts = new PreparedTexts(context);
    this.#ask = scheduler.settle(ASK_MS, true);
    const pane = (side: Side) =>
      new TextPane(
        { scheduler, life, palette: () => paletteOf(state) },
        {
          hover: (unit) => this.#then(() => this.#reading.hover(side, unit)),
          pin: (unit, add) =>
            togglePin(state, this.#reading.single ? this.#reading.direction : side, unit, add),
          head: (passage) => this.#head(passage),
          updateHead: (node, passage) => this.#updateHead(node, passage),
        },
        this.#draw,
      );
    this.#panes = { query: pane("query"), key: pane("key") };
    const box = (side: Side, title: string) =>
      el(
        "section",
        { class: "text-box" },
        el("div", { class: "text-title" }, title),
        this.#panes[side].element,
      );
    this.#boxes = { query: box("query", "query (from)"), key: box("key", "key (to)") };
    this.#sums = new Sums(
      context,
      {
        go: (passage) => this.#go(passage),
        fold: (passage, folded) => this.#then(() => this.#folds.fold(passage, folded)),
      },
      this.#draw,
    );
    this.#bar = makeTextBar(context, {
      turn: (side) => this.#then(() => this.#reading.turn(side)),
      sort: () => this.#sort(),
      foldAll: () => this.#then(() => this.#folds.foldAll(this.#grouping().passages)),
    });
    this.element = el(
      "div",
      { class: "text-view" },
      this.#bar.element,
      el("div", { class: "text-body" }, this.#sums.element, this.#boxes.query, this.#boxes.key),
      this.#legend.element,
    );
    atEnd(life, () => {
      data.need("text", []);
      data.needColumns("text key", []);
    });
    watch(life, () => {
      void [state.now.queries.value, state.now.keys.value, state.synced.spans.value];
      this.#texts.forget();
      scheduler.paint(this.#draw);
    });
    watch(life, () => {
      state.follow();
      void data.version.value;
      scheduler.paint(this.#draw);
    });
    watch(life, () => {
      const pins = { query: state.now.query.value, key: state.now.key.value };
      untracked(() => scheduler.paint(() => this.#revealPinned(pins)));
    });
  }

  #then(change: () => void): void {
    change();
    this.context.scheduler.paint(this.#draw);
  }

  #grouping() {
    return this.#texts.grouping(this.#reading.colored);
  }

  #sort(): void {
    this.#then(() => {
      this.#bySize = !this.#bySize;
    });
  }

  #go(passage: number): void {
    const { passages } = this.#grouping();
    this.#chosen = this.#chosen === passage ? null : passage;
    const found = passages[passage];
    if (found) this.#panes[this.#reading.colored].goTo(found.from);
    this.context.scheduler.paint(this.#draw);
  }

  #revealPinned({ query, key }: { query: number | null; key: number | null }): void {
    if (this.context.life.aborted) return;
    this.#paint();
    const { query: queries, key: keys } = this.#panes;
    if (query !== null) queries.reveal(query);
    const { single } = this.#reading;
    if (key !== null && (!single || query === null)) (single ? queries : keys).reveal(key);
    this.#paint();
  }

  #head(passage: number): HTMLElement {
    const arrow = el("span", { class: "sum-arrow", "aria-hidden": "true" });
    const label = el("span", { class: "sum-label", dir: "auto" });
    const count = el("span", { class: "sum-count" });
    const bars = makeBars(this.context.data.series.length);
    return button(
      { class: "text-head" },
      () => this.#then(() => this.#folds.fold(passage)),
      arrow,
      label,
      count,
      bars,
    );
  }

  #updateHead(node: HTMLElement, passage: number): void {
    const { passages } = this.#grouping();
    const found = passages[passage];
    const [arrow, label, count, bars] = [...node.children] as [
      HTMLElement,
      HTMLElement,
      HTMLElement,
      HTMLElement,
    ];
    const folded = this.#folds.all.has(passage);
    setText(arrow, folded ? "▸" : "▾");
    setText(label, found?.label ?? "");
    const tokens = (found?.to ?? 0) - (found?.from ?? 0);
    setText(count, `${tokens} ${tokens === 1 ? "token" : "tokens"}`);
    setAttribute(node, "aria-expanded", String(!folded));
    const row = this.#rows.get(passage);
    bars.hidden = !row;
    const { series } = this.context.data;
    if (row) paintBars(bars, this.context, series, row.sums, this.#sums.most);
  }

  #shade(subject: Subject | null): Shade | null {
    const { state, data } = this.context;
    if (!subject) return null;
    const { series } = data;
    const shaded = series.flatMap((one, at) => {
      const values = valuesOf(this.context, one, subject);
      return values ? [{ short: one.short, color: colorOf(this.context, series, at), values }] : [];
    });
    if (shaded.length < series.length) return null;
    return new Shade(shaded, paletteOf(state), state.now.measure.value, state.synced.color_scale.value);
  }

  #paint(): void {
    const { state, life, data } = this.context;
    if (life.aborted) return;
    const { now, synced, page } = state;
    const { direction, colored, single, sides, hovered } = this.#reading;
    const subject = this.#reading.subject();
    const shade = this.#shade(subject);
    this.#ask(() => {
      if (life.aborted) return;
      data.need("text", subject?.side === "query" ? subject.units : []);
      data.needColumns("text key", subject?.side === "key" ? subject.units : []);
    });
    const { name, passages } = this.#grouping();
    this.#folds.fit(passages);
    this.#paintSums(shade, passages);
    this.#bar.paint({
      direction,
      grouping: name,
      groupings: [...this.#texts.of(colored).groupings.keys()],
      bySize: this.#bySize,
      allFolded: this.#folds.isFull(passages),
    });
    const sections = this.#folds.sections(name, passages);
    this.#boxes.key.hidden = single;
    (this.#boxes.query.firstElementChild as HTMLElement).hidden = single;
    const marked = this.#chosen === null ? undefined : passages[this.#chosen];
    for (const side of sides) {
      this.#panes[side].paint(this.#texts.forPane(side, side === colored ? sections : []), {
        side: single ? direction : side,
        shade: side === colored ? shade : null,
        pinned: now.pinned[single ? direction : side].value,
        paired: single ? now.pinned[other(direction)].value : [],
        hovered: hovered?.side === side ? hovered.unit : null,
        marked: marked && side === colored ? [marked.from, marked.to] : null,
        wanted: page.wanted.value,
        spaces: synced.visible_spaces.value,
      });
    }
    this.#legend.paint(subject, shade);
    this.#explain(subject, shade);
  }

  #paintSums(shade: Shade | null, passages: readonly Passage[]): void {
    const { state, data } = this.context;
    const sums = data.series.map((_, at) => {
      const values = shade?.series[at]?.values;
      return values && sumsOf(values, passages);
    });
    const { units } = this.#texts.of(this.#reading.colored).axis;
    const covered = new Uint8Array(units.length);
    for (const { from, to } of passages) covered.fill(1, from, to);
    const outside = units.filter((_, at) => covered[at] === 0);
    const restLabel =
      outside.length === 0 ? null : outside.every(({ special }) => special) ? "special tokens" : "elsewhere";
    const shown = passages.length > 0 && addsUp(state.now.measure.value);
    const rows = shown ? sumRows(passages, sums, restLabel, this.#bySize) : [];
    this.#rows = new Map(rows.flatMap((row) => (row.passage === null ? [] : [[row.passage, row]])));
    if (!shade) this.#rows.clear();
    this.#sums.element.hidden = !shown;
    this.#sums.paint({ rows, series: data.series, folded: this.#folds.all, chosen: this.#chosen });
  }

  /** The exact number between what is pinned and what is pointed at. */
  #explain(subject: Subject | null, shade: Shade | null): void {
    const { hovered: at, single, colored } = this.#reading;
    if (!at) return;
    const pane = this.#panes[at.side];
    const box = pane.box(at.unit);
    if (!box) return;
    const { axis } = this.#texts.of(at.side);
    const name = spoken(textAt(axis, at.unit));
    const place = `${name} · position ${axis.units[at.unit]?.from}`;
    const compared = shade && subject && (subject.pinned || !single) && at.side === colored;
    if (!compared) this.context.tooltip.show(place, box);
    else {
      const mine = this.#texts.of(single ? "query" : subject.side).axis;
      const who = subject.units.map((unit) => spoken(textAt(mine, unit))).join(" + ");
      const [from, to] = subject.side === "query" ? [who, name] : [name, who];
      this.context.tooltip.show(`${from} → ${to}: ${shade.numbers(at.unit, 6)}`, box);
    }
  }

  choices() {
    return { direction: this.#reading.direction, folded: [...this.#folds.all], by_size: this.#bySize };
  }

  picture(): HTMLCanvasElement | null {
    const area = this.element.querySelector(".text-body")?.getBoundingClientRect();
    if (!area || area.width === 0) return null;
    const canvas = el("canvas");
    const pen = prepare(canvas, area.width, area.height);
    if (!pen) return null;
    pen.fillStyle = paletteOf(this.context.state).ground;
    pen.fillRect(0, 0, area.width, area.height);
    for (const side of this.#reading.sides) this.#panes[side].draw(pen, area.x, area.y);
    return canvas;
  }
}

export function createText(context: Context): View {
  return new Text(context);
}
