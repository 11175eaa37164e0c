import type { ReadonlySignal } from "@preact/signals-core";
import { labelOf } from "../attention/measure.js";
import { atEnd } from "../basics.js";
import { type Context, paletteOf } from "../context.js";
import type { Series } from "../data.js";
import { button, el, onSize, prepare, setAttribute, setText, watch } from "../dom.js";
import { css, rampAt } from "../draw/palette.js";
import type { CompareInfo } from "../protocol.js";
import { makeColorScale } from "../scale.js";
import type { PaneName } from "./compare-numbers.js";
import { ComparePanes, PANES } from "./compare-panes.js";
import { makeRanking } from "./compare-ranking.js";
import { RowPair } from "./compare-row.js";
import { makeSecond, type Second } from "./compare-second.js";
import type { View } from "./registry.js";

/** Narrower than this, one matrix stands at a time. */
const THREE = 470;

type Mode = "matrices" | "row";

class Compare implements View {
  readonly element: HTMLElement;
  readonly #second: ReadonlySignal<Second>;
  readonly #panes: ComparePanes;
  readonly #pair: RowPair;
  readonly #modes: Record<Mode, HTMLButtonElement>;
  readonly #switch: Record<PaneName, HTMLButtonElement>;
  readonly #switches: HTMLElement;
  readonly #sort: HTMLButtonElement;
  readonly #weights = makeColorScale();
  readonly #changes = makeColorScale();
  readonly #note = el("span", { class: "legend-note" });
  readonly #refusal = el("p", { class: "hint compare-refusal", role: "status" });
  readonly #draw = () => this.#paint();
  #mode: Mode = "matrices";
  #only: PaneName = "change";
  #bySize = true;
  #width = 0;

  constructor(
    readonly context: Context,
    compare: CompareInfo,
  ) {
    const { life, state, scheduler, data } = context;
    this.#second = makeSecond(context, compare);
    const names = [state.capture.model, compare.capture.model];
    this.#panes = new ComparePanes(
      context,
      this.#second,
      names[0] === names[1] ? ["", ""] : (names as [string, string]),
      this.#draw,
    );
    this.#pair = new RowPair(context, this.#draw);
    const small = (text: string, run: () => void) =>
      button(
        { class: "small" },
        () => {
          run();
          scheduler.paint(this.#draw);
        },
        text,
      );
    const mode = (name: Mode, text: string) =>
      small(text, () => {
        this.#mode = name;
      });
    this.#modes = { matrices: mode("matrices", "matrices"), row: mode("row", "pinned token") };
    const pane = (name: PaneName) =>
      small(PANES[name], () => {
        this.#only = name;
      });
    this.#switch = { a: pane("a"), b: pane("b"), change: pane("change") };
    this.#switches = el(
      "div",
      { class: "turning", role: "group", "aria-label": "Matrix shown" },
      ...Object.values(this.#switch),
    );
    this.#sort = small("largest difference first", () => {
      this.#bySize = !this.#bySize;
    });
    const bar = el(
      "div",
      { class: "matrix-bar text-bar" },
      el(
        "div",
        { class: "turning", role: "group", "aria-label": "Compare as" },
        ...Object.values(this.#modes),
      ),
      this.#switches,
      this.#panes.zooming,
      this.#sort,
    );
    this.element = el(
      "div",
      { class: "text-view compare-view" },
      bar,
      makeRanking(context),
      this.#refusal,
      this.#panes.element,
      this.#pair.element,
      el("div", { class: "legend" }, this.#weights.element, this.#changes.element, this.#note),
    );
    for (const later of [this.#switches, this.#sort, this.#refusal, this.#pair.element]) later.hidden = true;
    onSize(this.element, life, (width) => {
      this.#width = width;
      scheduler.paint(this.#draw);
    });
    atEnd(life, () => {
      for (const each of [data, this.#second.peek().context.data]) {
        for (const purpose of ["matrix", "compare row"]) each.need(purpose, []);
        each.needColumns("compare column", []);
      }
    });
    watch(life, () => {
      state.follow();
      const { context: other } = this.#second.value;
      void [data.version.value, other.data.version.value, other.state.page.message.value];
      scheduler.paint(this.#draw);
    });
  }

  get #series(): Series {
    const all = this.context.data.series;
    return all[all.length - 1] as Series;
  }

  #paint(): void {
    const { life, state } = this.context;
    if (life.aborted || this.#width === 0) return;
    const second = this.#second.value;
    const series = this.#series;
    const matrices = this.#mode === "matrices";
    const refusal = second.missing(series);
    setText(this.#refusal, refusal);
    this.#refusal.hidden = refusal === "";
    const one = this.#width < THREE;
    for (const [name, node] of Object.entries(this.#modes))
      setAttribute(node, "aria-pressed", String(name === this.#mode));
    for (const [name, node] of Object.entries(this.#switch))
      setAttribute(node, "aria-pressed", String(name === this.#only));
    this.#switches.hidden = !one || !matrices;
    this.#panes.zooming.hidden = !matrices;
    this.#sort.hidden = matrices;
    setAttribute(this.#sort, "aria-pressed", String(this.#bySize));
    this.#panes.element.hidden = !matrices;
    this.#pair.element.hidden = matrices;
    if (matrices) {
      this.#panes.paint(series, refusal === "", one ? [this.#only] : ["a", "b", "change"]);
    } else {
      this.#pair.request(series, second);
      this.#pair.paint(series, second, this.#bySize);
    }
    this.#legend(matrices, second);
    const said = second.context.state.page.message.value;
    if (said) state.page.message.value = said;
  }

  #legend(matrices: boolean, second: Second): void {
    const { state } = this.context;
    const { ramp, diverging } = paletteOf(state);
    const { both, change } = this.#panes.numbers.domains;
    this.#weights.element.hidden = !matrices;
    this.#changes.element.hidden = !matrices;
    const scale = state.synced.color_scale.value;
    const color = (stops: typeof ramp) => (strength: number) => css(rampAt(stops, strength));
    this.#weights.paint(
      color(this.#panes.numbers.signed ? diverging : ramp),
      both,
      labelOf(state.now.measure.value),
      scale,
    );
    this.#changes.paint(color(diverging), change, "B − A", "linear");
    const count = (side: "a" | "b") =>
      second.queries.slots.filter((slot) => slot[side] !== null && slot[side === "a" ? "b" : "a"] === null)
        .length;
    const [gone, added] = [count("a"), count("b")];
    const notes: string[] = [];
    if (gone + added > 0) notes.push(`tokens only in A: ${gone}, only in B: ${added}, left blank`);
    if (matrices && !this.#panes.numbers.exact)
      notes.push("overview: largest of neighbours; zoom in for exact numbers");
    setText(this.#note, notes.join(" · "));
  }

  choices() {
    return { mode: this.#mode, by_size: this.#bySize };
  }

  picture(): HTMLCanvasElement | null {
    if (this.#mode === "row") return null;
    const shown = this.#panes.canvases;
    const width = shown.reduce((sum, { clientWidth }) => sum + clientWidth, 0);
    const height = shown[0]?.clientHeight ?? 0;
    const canvas = el("canvas");
    const pen = width > 0 ? prepare(canvas, width, height) : null;
    if (!pen) return null;
    pen.fillStyle = paletteOf(this.context.state).ground;
    pen.fillRect(0, 0, width, height);
    let left = 0;
    for (const one of shown) {
      pen.drawImage(one, left, 0, one.clientWidth, one.clientHeight);
      left += one.clientWidth;
    }
    return canvas;
  }
}

/** The tab is there only when there is something to compare with. */
export function createCompare(context: Context): View {
  const { compare } = context.state.capture;
  if (!compare) throw new Error("There is no second capture to compare with.");
  return new Compare(context, compare);
}
