import { type Ingredients, isOwn, OWN, type Walk, walk, weightedSum } from "../attention/steps.js";
import { clamp } from "../basics.js";
import { type Context, paletteOf } from "../context.js";
import { button, el, onSize, prepare, setText, watch } from "../dom.js";
import { seriesColor } from "../draw/palette.js";
import { headName } from "../headname.js";
import type { Head, StepsRequest } from "../protocol.js";
import { fixed, spoken } from "../text.js";
import { Asked } from "./asked.js";
import type { View } from "./registry.js";
import { makePlayBar } from "./steps-play.js";
import { lengthOf, Strips, type VectorStrip } from "./steps-strips.js";
import { type Column, type Sort, StepsTable, written } from "./steps-table.js";
import { Vectors } from "./steps-vectors.js";
import { ingredients, percent, scaleName, tokenName } from "./steps-words.js";

const SINK = "learned sink";
/** More keys than are seen at once. */
const LONG = 60;
/** Most numbers of value vectors that are brought here to mix them anew when somebody plays. */
const MOST_VALUES = 1 << 20;

interface Shown {
  head: Head;
  query: number;
  given: Ingredients;
  own: Walk;
  now: Walk;
  info: Record<string, unknown>;
}

/** One query of one head: the arithmetic from dot products to the output, column by column. */
class Steps implements View {
  readonly element: HTMLElement;
  readonly #asked: Asked<StepsRequest>;
  readonly #vectors: Vectors;
  readonly #table: StepsTable;
  readonly #strips: Strips;
  readonly #play;
  readonly #sentence = el("p", { class: "steps-sentence" });
  readonly #facts = el("dl", { class: "steps-facts" });
  readonly #note = el("div", { class: "legend" }, el("span", { class: "steps-note" }));
  readonly #place = el("input", { type: "number", min: 0, step: 1, "aria-label": "Query position" });
  readonly #draw = () => this.#paint();
  readonly #say: (job: () => void) => void;
  /** Until somebody chooses, short rows are in order and long ones strongest first. */
  #sorted: Sort | null = null;
  #order: { of: unknown; sort: Sort; rows: Int32Array } | null = null;
  #shown: Shown | null = null;
  #from: unknown[] = [];

  constructor(readonly context: Context) {
    const { state, life, scheduler } = context;
    this.#asked = new Asked<StepsRequest>(context);
    this.#vectors = new Vectors(context);
    this.#play = makePlayBar(context);
    this.#strips = new Strips(context);
    this.#say = scheduler.settle(400);
    this.#table = new StepsTable(context, {
      sort: (by) => {
        this.#sorted = by;
        this.#table.scroller.scrollTop = 0;
        scheduler.paint(this.#draw);
      },
      point: (row) => {
        const { unitOf } = state.now.keys.value;
        state.page.hoverKey.value = row === null ? null : (unitOf[row] ?? null);
      },
      pin: (row) => {
        if (row >= state.now.keys.value.length) return;
        state.set({ key: state.synced.key.value === row ? null : row, more_keys: [] });
      },
    });
    const step = (label: string, text: string, by: number) =>
      button({ class: "small", "aria-label": label }, () => this.#ask(this.#query + by), text);
    this.#place.addEventListener("change", () => this.#ask(Number(this.#place.value)));
    const asker = el(
      "div",
      { class: "asker", role: "group", "aria-label": "Query that asks" },
      el("label", { class: "field" }, el("span", {}, "query"), this.#place),
      step("Previous query", "‹", -1),
      step("Next query", "›", 1),
    );
    this.element = el(
      "div",
      { class: "steps" },
      el("div", { class: "steps-top" }, this.#sentence),
      el("div", { class: "steps-bar" }, asker, this.#play.element),
      el("div", { class: "steps-told" }, this.#facts, this.#play.sign),
      this.#table.scroller,
      this.#strips.element,
      this.#note,
    );
    onSize(this.#table.scroller, life, () => scheduler.paint(this.#draw));
    watch(life, () => {
      const { kind, heads } = state.now;
      const [layer, head] = heads.value[heads.value.length - 1] as Head;
      const query = clamp(state.synced.query.value ?? 0, 0, state.now.queries.value.length - 1);
      this.#asked.ask({ type: "steps", kind: kind.value.kind, layer, head, query });
    });
    watch(life, () => {
      state.follow();
      void [this.#asked.answer.value, this.#vectors.version.value, this.#play.play.value];
      scheduler.paint(this.#draw);
    });
  }

  get #sort(): Sort {
    return this.#sorted ?? (this.context.state.now.keys.value.length > LONG ? "weight" : "position");
  }

  get #query(): number {
    return this.context.state.synced.query.value ?? 0;
  }

  #ask(query: number): void {
    const { state } = this.context;
    const last = state.now.queries.value.length - 1;
    state.set({ query: clamp(Math.round(query) || 0, 0, last), more_queries: [] });
  }

  #read(): Shown | null {
    const answer = this.#asked.answer.value;
    const play = this.#play.play.value;
    if (!answer) return null;
    if (this.#shown && this.#from[0] === answer && this.#from[1] === play) return this.#shown;
    const { request, reply } = answer;
    const info = reply.info ?? {};
    const given = ingredients(reply);
    const own = this.#from[0] === answer && this.#shown ? this.#shown.own : walk(given, OWN);
    const now = isOwn(play) ? own : walk(given, play);
    this.#from = [answer, play];
    this.#shown = { head: [request.layer, request.head], query: request.query, given, own, now, info };
    return this.#shown;
  }

  #paint(): void {
    if (this.context.life.aborted) return;
    const shown = this.#read();
    if (!shown) return;
    const { state } = this.context;
    const { kind, keys } = state.now;
    const text = (kind.value.keys ?? kind.value.queries).text;
    if (text.length !== shown.given.weights.length) return;
    this.#vectors.aim(kind.value.kind, shown.head, shown.query, keys.value.length);
    this.#place.value = String(shown.query);
    this.#place.max = String(kind.value.queries.text.length - 1);
    this.#play.allow(shown.given.dots ? shown.given.scale : null);
    const asker = kind.value.queries.text[shown.query] ?? "";
    this.#paintSentence(asker, text, shown);
    this.#paintFacts(text, shown);
    const pinned = state.synced.key.value;
    const hovered = state.page.hoverKey.value;
    const pointed = hovered === null ? null : (keys.value.units[hovered]?.from ?? null);
    this.#table.paint({
      names: shown.given.sink === null ? text : [...text, SINK],
      columns: this.#columns(shown),
      order: this.#ordered(shown),
      sort: this.#sort,
      pinned,
      pointed,
      special: new Set((kind.value.keys ?? kind.value.queries).special),
      fill: seriesColor(paletteOf(state), 0, 1),
    });
    this.#paintStrips(shown, asker, text, pointed ?? pinned ?? shown.own.top);
    setText(this.#note.firstChild as Node, this.#remarks(shown));
    if (!isOwn(this.#play.play.value)) this.#say(() => this.#speak(text));
  }

  #ordered({ now, given }: Shown): Int32Array {
    if (this.#order?.of === now.weights && this.#order.sort === this.#sort) return this.#order.rows;
    const count = given.weights.length + (given.sink === null ? 0 : 1);
    const rows = Int32Array.from({ length: count }, (_, at) => at);
    if (this.#sort === "weight") {
      const weight = (row: number) => {
        const value = row < now.weights.length ? (now.weights[row] as number) : now.sink;
        return Number.isNaN(value) ? -1 : value;
      };
      rows.sort((a, b) => weight(b) - weight(a) || a - b);
    }
    this.#order = { of: now.weights, sort: this.#sort, rows };
    return rows;
  }

  #columns({ given, now, info }: Shown): Column[] {
    const keys = given.weights.length;
    const of =
      (values: ArrayLike<number> | null, sink = Number.NaN) =>
      (row: number) =>
        row < keys ? (values?.[row] ?? Number.NaN) : sink;
    const { temperature, scaled } = this.#play.play.value;
    const columns: Column[] = [];
    if (given.dots) {
      const sink = given.sink ?? Number.NaN;
      const masked = (values: Float32Array) => (row: number) =>
        row < keys && !Number.isNaN(given.weights[row]) ? (values[row] as number) : Number.NaN;
      columns.push({ name: "q·k", title: "dot product of query and key", value: masked(given.dots) });
      const scale = scaled ? `× ${scaleName(given.scale, Number(info.width))}` : "× 1";
      const last = now.capped === null && given.bias === null;
      columns.push({ name: scale, title: "scaled", value: of(now.scaled, last ? sink : Number.NaN) });
      if (now.capped)
        columns.push({
          name: `cap ${given.softcap}`,
          title: "soft cap: cap · tanh(score / cap)",
          value: of(now.capped, given.bias === null ? sink : Number.NaN),
        });
      if (given.bias) {
        columns.push({ name: "+ bias", title: "what is added to the score", value: masked(given.bias) });
        columns.push({ name: "= score", title: "what goes into the softmax", value: of(now.scores, sink) });
      }
    }
    const divided = temperature === 1 ? "" : ` (÷ ${temperature.toFixed(2)})`;
    columns.push({
      name: given.dots
        ? `softmax${divided}`
        : `weight${temperature === 1 ? "" : ` ^1/${temperature.toFixed(2)}`}`,
      title: "weight: the share of the row",
      value: of(now.weights, now.sink),
      bar: true,
    });
    if (info.output)
      columns.push({
        name: "|w·v|",
        title: "length of weight × value: what this key brings into the output",
        value: (row) => {
          const vector = row < keys ? this.#vectors.value(row) : undefined;
          return vector ? lengthOf(vector) * (now.weights[row] as number) : Number.NaN;
        },
      });
    return columns;
  }

  #paintSentence(asker: string, text: readonly string[], { now }: Shown): void {
    const parts: (Node | string)[] = [tokenName(asker)];
    if (now.top < 0) parts.push(" asks, and no key answers: all are masked.");
    else {
      const best = now.weights[now.top] as number;
      parts.push(" asks; ", tokenName(text[now.top] ?? ""), ` answers with ${percent(best)}`);
      const rest = now.seen - 1;
      const others = 1 - best - now.sink;
      if (rest > 0) parts.push(`, the other ${rest === 1 ? "key" : `${rest} keys`} with ${percent(others)}`);
      if (now.sink > 0) parts.push(`, the learned sink keeps ${percent(now.sink)}`);
      parts.push(". The head gives back their values, mixed in these shares.");
    }
    const name = parts.map((part) => (typeof part === "string" ? part : part.textContent)).join("");
    if (this.#sentence.textContent !== name) this.#sentence.replaceChildren(...parts);
  }

  #paintFacts(text: readonly string[], { head, own, now, given, info }: Shown): void {
    const changed = own !== now;
    const fact = (
      name: string,
      before: number,
      after: number,
      write: (value: number) => string,
      more = "",
    ) => {
      const number = (value: number) =>
        el("span", { class: "number", "data-weight": String(value) }, write(value));
      const values = changed ? [number(before), " → ", el("b", {}, number(after))] : [number(after)];
      return el("div", {}, el("dt", {}, name), el("dd", {}, ...values, more));
    };
    const most = Math.log(Math.max(1, now.seen + (given.sink === null ? 0 : 1)));
    const facts = [
      el("div", {}, el("dt", {}, "head"), el("dd", {}, headName(this.context.state.now.kind.value, head))),
      fact("entropy", own.entropy, now.entropy, (value) => value.toFixed(3), ` of ${most.toFixed(3)} nats`),
      fact(
        "as spread as",
        Math.exp(own.entropy),
        Math.exp(now.entropy),
        (value) => value.toFixed(1),
        " equal keys",
      ),
    ];
    if (now.top >= 0)
      facts.push(
        fact(
          "top weight",
          own.weights[own.top] as number,
          now.weights[now.top] as number,
          (value) => fixed(value),
          ` ${spoken(text[now.top] ?? "")}`,
        ),
      );
    if (given.dots) facts.push(el("div", {}, el("dt", {}, "d"), el("dd", {}, this.#widthText(head, info))));
    this.#facts.replaceChildren(...facts);
  }

  #widthText([layer]: Head, { width, key_head, key_heads }: Record<string, unknown>): string {
    const { kind } = this.context.state.now;
    const heads = kind.value.heads[kind.value.layers.indexOf(layer)] ?? 0;
    return Number(key_heads) < heads
      ? `${width} · keys shared: key head ${key_head} of ${key_heads}`
      : `${width}`;
  }

  #paintStrips(shown: Shown, asker: string, text: readonly string[], key: number): void {
    if (!shown.given.dots || key < 0) {
      this.#strips.paint([]);
      return;
    }
    const query = this.#vectors.query() ?? null;
    const vector = this.#vectors.key(key) ?? null;
    const product =
      query && vector ? Float32Array.from(query, (value, at) => value * (vector[at] as number)) : null;
    const sum = product?.reduce((total, value) => total + value, 0);
    const name = spoken(text[key] ?? "");
    const length = (values: ArrayLike<number> | null) =>
      values ? `length ${written(lengthOf(values))}` : "…";
    const strips: VectorStrip[] = [
      { name: `query ${spoken(asker)}`, end: length(query), values: query },
      { name: `key ${name}`, end: length(vector), values: vector },
      { name: "q × k", end: sum === undefined ? "…" : `Σ = ${written(sum)}`, exact: sum, values: product },
    ];
    const output = shown.info.output;
    if (Array.isArray(output)) {
      const value = this.#vectors.value(key) ?? null;
      const mixed = this.#mixed(shown, output as number[]);
      strips.push({ name: `value ${name}`, end: length(value), values: value });
      strips.push({
        name: "output z = Σ w·v",
        end: length(mixed),
        exact: mixed ? lengthOf(mixed) : undefined,
        values: mixed,
      });
    }
    this.#strips.paint(strips);
  }

  /** The head's output: the captured one, or mixed anew from the values where somebody plays. */
  #mixed({ own, now, given }: Shown, output: readonly number[]): ArrayLike<number> | null {
    if (own === now) return output;
    if (given.weights.length * output.length > MOST_VALUES || !this.#vectors.all()) return null;
    return weightedSum(now.weights, (at) => this.#vectors.value(at) ?? new Float32Array(output.length));
  }

  #remarks({ given, info, now, own }: Shown): string {
    const { synced } = this.context.state;
    const parts: string[] = [];
    const masked = given.weights.length - now.seen;
    if (masked > 0) parts.push(`${masked} of ${given.weights.length} keys are masked: they take no part`);
    if (typeof info.missing === "string")
      parts.push(`${info.missing} Temperature works on the weights: p^(1/T), rescaled`);
    else if (!info.output)
      parts.push("values were not captured (values=True keeps them), so there is no output to show");
    else if (own !== now && given.weights.length * (info.output as []).length > MOST_VALUES)
      parts.push("too many values to mix anew here");
    if (!synced.special_tokens.value)
      parts.push("special tokens take part here: this is the model's own row");
    if (synced.whole_words.value) parts.push("tokens one by one");
    return parts.join(" · ");
  }

  #speak(text: readonly string[]): void {
    const shown = this.#shown;
    if (!shown || shown.now.top < 0) return;
    const { temperature, scaled } = this.#play.play.peek();
    const top = `${spoken(text[shown.now.top] ?? "")} ${fixed(shown.now.weights[shown.now.top] as number, 2)}`;
    const how = `Temperature ${temperature.toFixed(2)}${scaled ? "" : ", not scaled"}`;
    this.context.state.page.spoken.value = `${how}: entropy ${shown.now.entropy.toFixed(2)} nats, top weight ${top}`;
  }

  choices() {
    return { ...this.#play.play.value, sort: this.#sort };
  }

  picture(): HTMLCanvasElement | null {
    const canvas = el("canvas");
    const { width, height } = this.#table.scroller.getBoundingClientRect();
    const pen = prepare(canvas, width, height);
    if (!pen) return null;
    pen.fillStyle = paletteOf(this.context.state).ground;
    pen.fillRect(0, 0, width, height);
    this.#table.picture(canvas, pen);
    return canvas;
  }
}

export function createSteps(context: Context): View {
  return new Steps(context);
}
