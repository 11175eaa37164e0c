import { untracked } from "@preact/signals-core";
import type { Axis } from "../attention/axis.js";
import { textAt } from "../attention/axis.js";
import { labelOf } from "../attention/measure.js";
import { atEnd } from "../basics.js";
import { type Context, colorOf, paletteOf } from "../context.js";
import { type Subject, valuesOf } from "../controls/subject.js";
import { button, el, prepare, setAttribute, setText, watch } from "../dom.js";
import { css } from "../draw/palette.js";
import { makeColorScale } from "../scale.js";
import type { Side } from "../state.js";
import { spoken } from "../text.js";
import { removedMass } from "./legend.js";
import type { View } from "./registry.js";
import { makeTextBar, type TextBar } from "./text-bar.js";
import { flowOf, type Piece } from "./text-flow.js";
import type { Section } from "./text-layout.js";
import { type PaneText, TextPane } from "./text-pane.js";
import { addsUp, type Grouping, groupingsOf, type Passage, sumsOf } from "./text-passages.js";
import { Shade } from "./text-shade.js";
import { makeBars, paintBars, type SumRow, Sums, sumRows } from "./text-sums.js";

const ASK_MS = 40;
const other = (side: Side): Side => (side === "query" ? "key" : "query");

interface Prepared {
  axis: Axis;
  flow: Piece[];
  groupings: Map<Grouping, Passage[]>;
}

class Text implements View {
  readonly element: HTMLElement;
  readonly #panes: Record<Side, TextPane>;
  readonly #boxes: Record<Side, HTMLElement>;
  readonly #sums: Sums;
  readonly #bar: TextBar;
  readonly #scale = makeColorScale();
  readonly #note = el("span", { class: "legend-note" });
  readonly #prepared = new Map<Side, Prepared>();
  readonly #draw = () => this.#paint();
  readonly #ask: (job: () => void) => void;
  /** The direction wished for; what is pinned on one side only decides by itself. */
  #wish: Side = "query";
  #bySize = false;
  #folded = new Set<number>();
  #chosen: number | null = null;
  #sections: readonly Section[] = [];
  #shape = "";
  #rows = new Map<number, SumRow>();
  #hovered: { side: Side; unit: number } | null = null;

  constructor(readonly context: Context) {
    const { life, state, data, scheduler } = context;
    this.#ask = scheduler.settle(ASK_MS, true);
    const pane = (side: Side) =>
      new TextPane(
        context,
        {
          hover: (unit) => this.#hover(side, unit),
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
      { go: (passage) => this.#go(passage), fold: (passage, folded) => this.#fold(passage, folded) },
      this.#draw,
    );
    this.#bar = makeTextBar(context, {
      turn: (side) => this.#turn(side),
      sort: () => this.#sort(),
      foldAll: () => this.#foldAll(),
    });
    this.element = el(
      "div",
      { class: "text-view" },
      this.#bar.element,
      el("div", { class: "text-body" }, this.#sums.element, this.#boxes.query, this.#boxes.key),
      el("div", { class: "legend" }, this.#scale.element, this.#note),
    );
    atEnd(life, () => {
      data.need("text", []);
      data.needColumns("text key", []);
    });
    watch(life, () => {
      void [state.now.queries.value, state.now.keys.value, state.synced.spans.value];
      this.#prepared.clear();
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

  /** Queries and keys are the same text. */
  get #single(): boolean {
    return this.context.state.now.kind.value.keys === null;
  }

  get #direction(): Side {
    const { query, key } = this.context.state.now;
    if ((query.value === null) === (key.value === null)) return this.#wish;
    return query.value === null ? "key" : "query";
  }

  get #colored(): Side {
    return this.#single ? "query" : other(this.#direction);
  }

  #text(side: Side): Prepared {
    const known = this.#prepared.get(side);
    if (known) return known;
    const { now, synced } = this.context.state;
    const kind = now.kind.value;
    const axis = (side === "query" ? now.queries : now.keys).value;
    const tokens = side === "query" ? kind.queries : (kind.keys ?? kind.queries);
    const flow = flowOf(axis, tokens.gaps);
    const spans = synced.spans.value.filter((span) => this.#single || (span.side ?? "key") === side);
    const made = { axis, flow, groupings: groupingsOf(axis, tokens, flow, spans) };
    this.#prepared.set(side, made);
    return made;
  }

  #grouping(): { name: Grouping | null; passages: Passage[] } {
    const { groupings } = this.#text(this.#colored);
    const wish = this.context.state.synced.group_by.value;
    const [first] = groupings;
    const name =
      wish === "auto" ? (first?.[0] ?? null) : groupings.has(wish as Grouping) ? (wish as Grouping) : null;
    const passages = (name && groupings.get(name)) || [];
    // One sentence is the whole text.
    return name === "sentence" && passages.length < 2 && wish === "auto"
      ? { name: null, passages: [] }
      : { name, passages };
  }

  #subject(): Subject | null {
    const { now, page } = this.context.state;
    const side = this.#direction;
    const pinned = now.pinned[side].value;
    const hover = side === "query" ? page.hoverQuery.value : page.hoverKey.value;
    const hovered = hover === null || (this.#single && pinned.length > 0) ? null : hover;
    const units = hovered === null ? pinned : [hovered];
    const [unit] = units;
    if (unit === undefined) return null;
    return { side, unit, units, pinned: hovered === null, other: null };
  }

  /** In one text the token pointed at is the subject until one is pinned, and then what the pinned one is compared with. */
  #hover(side: Side, unit: number | null): void {
    const { page, now } = this.context.state;
    const direction = this.#direction;
    const here = !this.#single ? side : now.pinned[direction].value.length > 0 ? other(direction) : direction;
    const [mine, theirs] =
      here === "query" ? [page.hoverQuery, page.hoverKey] : [page.hoverKey, page.hoverQuery];
    this.#hovered = unit === null ? null : { side, unit };
    mine.value = unit;
    theirs.value = null;
    if (unit === null) this.context.tooltip.hide();
    this.context.scheduler.paint(this.#draw);
  }

  #turn(side: Side): void {
    const { state } = this.context;
    const { query, key, more_queries, more_keys } = state.synced;
    this.#wish = side;
    const [q, k] = [query.value, key.value];
    const oneSided = (q === null) !== (k === null);
    if (oneSided && side !== (q === null ? "key" : "query")) {
      const pins = this.#single
        ? { query: k, key: q, more_queries: more_keys.value, more_keys: more_queries.value }
        : { query: null, key: null, more_queries: [], more_keys: [] };
      state.set(pins);
    }
    this.context.scheduler.paint(this.#draw);
  }

  #sort(): void {
    this.#bySize = !this.#bySize;
    this.context.scheduler.paint(this.#draw);
  }

  #fold(passage: number, folded = !this.#folded.has(passage)): void {
    if (folded) this.#folded.add(passage);
    else this.#folded.delete(passage);
    this.#shape = "";
    this.context.scheduler.paint(this.#draw);
  }

  #foldAll(): void {
    const { passages } = this.#grouping();
    const all = this.#folded.size === passages.length;
    this.#folded = new Set(all ? [] : passages.keys());
    this.#shape = "";
    this.context.scheduler.paint(this.#draw);
  }

  #go(passage: number): void {
    const { passages } = this.#grouping();
    this.#chosen = this.#chosen === passage ? null : passage;
    const found = passages[passage];
    if (found) this.#panes[this.#colored].goTo(found.from);
    this.context.scheduler.paint(this.#draw);
  }

  #revealPinned({ query, key }: { query: number | null; key: number | null }): void {
    if (this.context.life.aborted) return;
    this.#paint();
    const { query: queries, key: keys } = this.#panes;
    if (query !== null) queries.reveal(query);
    if (key !== null && (!this.#single || query === null)) (this.#single ? queries : keys).reveal(key);
    this.#paint();
  }

  #head(passage: number): HTMLElement {
    const arrow = el("span", { class: "sum-arrow", "aria-hidden": "true" });
    const label = el("span", { class: "sum-label", dir: "auto" });
    const count = el("span", { class: "sum-count" });
    const bars = makeBars(this.context.data.series.length);
    return button({ class: "text-head" }, () => this.#fold(passage), arrow, label, count, bars);
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
    const folded = this.#folded.has(passage);
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

  #sectionsOf(name: Grouping | null, passages: readonly Passage[]): readonly Section[] {
    const shape = `${name}|${[...this.#folded].join()}|${passages.length}`;
    if (shape === this.#shape) return this.#sections;
    this.#shape = shape;
    let end = 0;
    const sections: Section[] = [];
    passages.forEach(({ from, to }, passage) => {
      const folded = this.#folded.has(passage);
      if (from < end || to <= from || !(folded || name !== "sentence")) return;
      sections.push({ from, to, passage, folded });
      end = to;
    });
    this.#sections = sections;
    return sections;
  }

  #paint(): void {
    const { state, life, data } = this.context;
    if (life.aborted) return;
    const { now, synced, page } = state;
    const direction = this.#direction;
    const colored = this.#colored;
    const subject = this.#subject();
    const shade = this.#shade(subject);
    this.#ask(() => {
      if (life.aborted) return;
      data.need("text", subject?.side === "query" ? subject.units : []);
      data.needColumns("text key", subject?.side === "key" ? subject.units : []);
    });
    const { name, passages } = this.#grouping();
    if ([...this.#folded].some((passage) => passage >= passages.length)) this.#folded.clear();
    this.#paintSums(shade, passages);
    this.#bar.paint({
      direction,
      grouping: name,
      groupings: [...this.#text(colored).groupings.keys()],
      bySize: this.#bySize,
      allFolded: passages.length > 0 && this.#folded.size === passages.length,
    });
    const sections = this.#sectionsOf(name, passages);
    this.#boxes.key.hidden = this.#single;
    (this.#boxes.query.firstElementChild as HTMLElement).hidden = this.#single;
    const marked = this.#chosen === null ? undefined : passages[this.#chosen];
    for (const side of this.#single ? (["query"] as const) : (["query", "key"] as const)) {
      const { axis, flow } = this.#text(side);
      const text: PaneText = { axis, flow, sections: side === colored ? sections : [] };
      this.#panes[side].paint(this.#keep(side, text), {
        side: this.#single ? direction : side,
        shade: side === colored ? shade : null,
        pinned: now.pinned[this.#single ? direction : side].value,
        paired: this.#single ? now.pinned[other(direction)].value : [],
        hovered: this.#hovered?.side === side ? this.#hovered.unit : null,
        marked: marked && side === colored ? [marked.from, marked.to] : null,
        wanted: page.wanted.value,
        spaces: synced.visible_spaces.value,
      });
    }
    this.#paintLegend(subject, shade);
    this.#explain(subject, shade);
  }

  readonly #kept = new Map<Side, PaneText>();

  #keep(side: Side, text: PaneText): PaneText {
    const known = this.#kept.get(side);
    if (known && known.axis === text.axis && known.flow === text.flow && known.sections === text.sections)
      return known;
    const sections =
      text.sections.length === 0 && known?.sections.length === 0 ? known.sections : text.sections;
    const kept = { ...text, sections };
    this.#kept.set(side, kept);
    return kept;
  }

  #paintSums(shade: Shade | null, passages: readonly Passage[]): void {
    const { state, data } = this.context;
    const sums = data.series.map((_, at) => {
      const values = shade?.series[at]?.values;
      return values && sumsOf(values, passages);
    });
    const { units } = this.#text(this.#colored).axis;
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
    this.#sums.paint({ rows, series: data.series, folded: this.#folded, chosen: this.#chosen });
  }

  #paintLegend(subject: Subject | null, shade: Shade | null): void {
    const { state, data } = this.context;
    const one = shade?.series.length === 1;
    this.#scale.element.hidden = !one;
    if (shade && one) {
      const { least, most } = shade.domain;
      this.#scale.paint(
        (strength) => css(shade.color(least + strength * (most - least))),
        shade.domain,
        labelOf(shade.measure),
        state.synced.color_scale.value,
      );
    }
    const notes: string[] = [];
    if (!subject) notes.push("hover a token to see what it attends to, click to pin it");
    else if (!shade) notes.push("not here yet");
    else if (!one) {
      const { least, most } = shade.domain;
      notes.push(
        `lines: ${labelOf(shade.measure)} from ${least.toFixed(2)} to ${most.toFixed(2)}, strongest thickest`,
      );
    }
    if (shade?.signed) notes.push("dashed where negative");
    if (!addsUp(state.now.measure.value)) notes.push("scores do not add up, so passages have no sums");
    const removed = removedMass(this.context, data.series, subject?.side === "query" ? subject.unit : null);
    if (removed) notes.push(removed);
    setText(this.#note, notes.join(" · "));
  }

  /** The exact number between what is pinned and what is pointed at. */
  #explain(subject: Subject | null, shade: Shade | null): void {
    const at = this.#hovered;
    if (!at) return;
    const pane = this.#panes[at.side];
    const box = pane.box(at.unit);
    if (!box) return;
    const { axis } = this.#text(at.side);
    const name = spoken(textAt(axis, at.unit));
    const place = `${name} · position ${axis.units[at.unit]?.from}`;
    const compared = shade && subject && (subject.pinned || !this.#single) && at.side === this.#colored;
    if (!compared) this.context.tooltip.show(place, box);
    else {
      const mine = this.#text(this.#single ? "query" : subject.side).axis;
      const who = subject.units.map((unit) => spoken(textAt(mine, unit))).join(" + ");
      const [from, to] = subject.side === "query" ? [who, name] : [name, who];
      this.context.tooltip.show(`${from} → ${to}: ${shade.numbers(at.unit, 6)}`, box);
    }
  }

  picture(): HTMLCanvasElement | null {
    const area = this.element.querySelector(".text-body")?.getBoundingClientRect();
    if (!area || area.width === 0) return null;
    const canvas = el("canvas");
    const pen = prepare(canvas, area.width, area.height);
    if (!pen) return null;
    pen.fillStyle = paletteOf(this.context.state).ground;
    pen.fillRect(0, 0, area.width, area.height);
    for (const side of this.#single ? (["query"] as const) : (["query", "key"] as const))
      this.#panes[side].draw(pen, area.x, area.y);
    return canvas;
  }
}

export function createText(context: Context): View {
  return new Text(context);
}
