import { type Signal, signal } from "@preact/signals-core";
import type { Axis } from "../attention/axis.js";
import { formOf, labelOf } from "../attention/measure.js";
import { strengthOf } from "../attention/strength.js";
import { atEnd, clamp, range } from "../basics.js";
import { type Context, paletteOf, togglePin } from "../context.js";
import { select, setOptions } from "../controls/fields.js";
import type { Series } from "../data.js";
import { el, isShortcut, listenTo, onSize, prepare, setAttribute, setText, watch } from "../dom.js";
import { type Color, css, rampAt } from "../draw/palette.js";
import { outlinePlace, paintPatches, paintSeconds, type Rect } from "../draw/patches.js";
import { GridCell } from "../gridcell.js";
import { makeColorScale } from "../scale.js";
import type { Side } from "../state.js";
import { ARROWS, fitBox, neighbour, placeAt, type Scene, sceneSide, scenesOf } from "./image-model.js";
import { domainFor, other, type Shown, sayPlace, sceneNote, valueAt } from "./image-note.js";
import { Pictures } from "./image-picture.js";
import { Words } from "./image-words.js";
import type { View } from "./registry.js";

const STRIP = 96;
const TINT: Color = [255, 140, 0];

/** Words over an image's patches, or over the time of a sound, and patches over words. */
class ImageView implements View {
  readonly element: HTMLElement;
  readonly #canvas = el("canvas", { "aria-hidden": "true" });
  readonly #grid = new GridCell("Patches");
  readonly #stage = el("div", { class: "image-stage" }, this.#canvas, this.#grid.element);
  readonly #middle: HTMLElement;
  readonly #words: Words;
  readonly #pictures: Pictures;
  readonly #scale = makeColorScale();
  readonly #note = el("span", { class: "legend-note" });
  readonly #picker;
  readonly #direction;
  readonly #opacity = el("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.05,
    value: 0.8,
    "aria-label": "Opacity",
  });
  readonly #opacityField = el("label", { class: "field" }, el("span", {}, "opacity"), this.#opacity);
  readonly #head = el("span", { class: "image-head" });
  readonly #draw = () => this.#paint();
  readonly #number: Signal<number> = signal(0);
  readonly #towards: Signal<boolean> = signal(false);
  #size = { width: 0, height: 0 };
  #cursor = 0;
  #scenes: { of: unknown; found: Scene[] } = { of: null, found: [] };
  #shown: Shown | null = null;

  constructor(readonly context: Context) {
    const { state, data, life, scheduler } = context;
    this.#words = new Words(context);
    this.#pictures = new Pictures(context);
    this.#picker = select("image", [], (value) => {
      this.#number.value = Number(value);
    });
    const ways = [
      ["from", "what it looks at"],
      ["to", "what looks at it"],
    ] as const;
    this.#direction = select("show", ways, (value) => {
      this.#towards.value = value === "to";
    });
    this.#opacity.addEventListener("input", () => scheduler.paint(this.#draw));
    const bar = el(
      "div",
      { class: "image-bar" },
      this.#head,
      this.#picker.element,
      this.#direction.element,
      this.#opacityField,
    );
    const legend = el("div", { class: "legend" }, this.#scale.element, this.#note);
    this.#middle = el("div", { class: "image-middle" }, this.#stage, this.#words.element);
    this.element = el("div", { class: "image" }, bar, this.#middle, legend);
    for (const later of [this.#picker.element, this.#opacityField, this.#words.element]) later.hidden = true;
    onSize(this.#stage, life, (width, height) => {
      this.#size = { width, height };
      scheduler.paint(this.#draw);
    });
    atEnd(life, () => {
      data.need("image", []);
      data.needColumns("image key", []);
    });
    watch(life, () => {
      void state.now.kind.value;
      this.#number.value = 0;
      this.#cursor = 0;
    });
    watch(life, () => {
      state.follow();
      void [data.version.value, this.#pictures.version.value, this.#number.value, this.#towards.value];
      scheduler.paint(this.#draw);
    });
    this.#listen();
  }

  /** Whether queries and keys are the same tokens. */
  get #same(): boolean {
    return this.context.state.now.kind.value.keys === null;
  }

  /** The side whose tokens lie in the image. */
  get #side(): Side {
    if (this.#same) return this.#towards.value ? "query" : "key";
    return sceneSide(this.context.state.now.kind.value);
  }

  /** The side a patch is pinned on. */
  get #pinSide(): Side {
    return this.#same ? other(this.#side) : this.#side;
  }

  #axis(side: Side): Axis {
    const { queries, keys } = this.context.state.now;
    return (side === "query" ? queries : keys).value;
  }

  get #allScenes(): Scene[] {
    const { kind } = this.context.state.now;
    const tokens = this.#side === "key" ? (kind.value.keys ?? kind.value.queries) : kind.value.queries;
    if (this.#scenes.of !== tokens) this.#scenes = { of: tokens, found: scenesOf(tokens) };
    return this.#scenes.found;
  }

  /** What is in question on a side: what is pointed at, what is pinned, or a first choice. */
  #active(side: Side): number | null {
    const { activeQuery, activeKey, kind } = this.context.state.now;
    const found = side === "query" ? activeQuery.value : activeKey.value;
    if (found !== null || (!this.#same && side === this.#side)) return found;
    const { units } = this.#axis(side);
    if (this.#same) return kind.value.causal && side === "query" ? units.length - 1 : 0;
    return Math.max(
      0,
      units.findIndex(({ special }) => !special),
    );
  }

  /** The numbers of the other side of a token. */
  #values(series: Series, side: Side, unit: number | null): Float32Array | undefined {
    if (unit === null) return undefined;
    const { data } = this.context;
    return side === "query" ? data.row(series, unit)?.values : data.column(series, unit);
  }

  #read(): Shown | null {
    const { state, data } = this.context;
    const scenes = this.#allScenes;
    const scene = scenes[clamp(this.#number.value, 0, scenes.length - 1)];
    const series = data.series[data.series.length - 1];
    if (!scene || !series) return null;
    const side = this.#side;
    const asker = this.#active(other(side));
    const patch = this.#same ? null : this.#active(side);
    const wanted = { query: [] as number[], key: [] as number[] };
    if (asker !== null) wanted[other(side)].push(asker);
    if (patch !== null) wanted[side].push(patch);
    data.need("image", wanted.query, [series]);
    data.needColumns("image key", wanted.key);
    const patches = this.#values(series, other(side), asker);
    const words = this.#same ? patches : this.#values(series, side, patch);
    const { unitOf } = this.#axis(side);
    const seen =
      patches && Float32Array.from(scene.places, ({ token }) => patches[unitOf[token] as number] as number);
    const domain = domainFor(seen, state.now.measure.value);
    const scale = strengthOf(state.synced.color_scale.value, domain, () => seen ?? []);
    return { scene, series, side, asker, patches, words, domain, strength: scale };
  }

  /** Width by height. */
  #shape({ columns, rows }: Scene): number {
    const size = this.#pictures.size(this.#number.value, this.#allScenes.length);
    return size ? size[1] / size[0] : columns / rows;
  }

  #box({ scene }: Shown): Rect {
    const { width, height } = this.#size;
    const room = { width: Math.max(20, width - 20), height: Math.max(20, height - 16) };
    if (scene.seconds !== null)
      return { x: 10, y: 8, width: room.width, height: Math.min(STRIP, room.height) };
    const box = fitBox(this.#shape(scene), room.width, room.height);
    return { ...box, x: (width - box.width) / 2, y: 8 };
  }

  #paint(): void {
    const { life, state } = this.context;
    if (life.aborted || this.#size.width === 0) return;
    const shown = this.#read();
    this.#shown = shown;
    if (!shown) return;
    const wide = state.page.narrow.value || shown.scene.seconds !== null || this.#shape(shown.scene) > 1.2;
    setAttribute(this.#middle, "data-below", wide);
    const box = this.#box(shown);
    const pen = prepare(this.#canvas, this.#size.width, this.#size.height);
    if (pen) this.#paintStage(pen, shown, box);
    this.#paintBar(shown);
    this.#cursor = clamp(this.#cursor, 0, shown.scene.places.length - 1);
    const place = shown.scene.places[this.#cursor];
    if (place) {
      const [row, column] = [
        Math.round(place.y * shown.scene.rows),
        Math.round(place.x * shown.scene.columns),
      ];
      this.#grid.describe(
        [shown.scene.rows, shown.scene.columns],
        [row, column],
        this.#say(shown, this.#cursor),
      );
      const value = this.#value(shown, this.#cursor);
      const exact = value === undefined || Number.isNaN(value) ? undefined : String(value);
      setAttribute(this.#grid.cell, "data-weight", exact);
      setAttribute(this.#grid.cell, "data-token", place.token);
      const [wide, tall] = [Math.max(4, place.width * box.width), Math.max(4, place.height * box.height)];
      this.#grid.place(box.x + place.x * box.width, box.y + place.y * box.height, wide, tall);
    }
    this.#paintWords(shown);
    this.#paintLegend(shown, state.now.measure.value);
  }

  #paintStage(pen: CanvasRenderingContext2D, shown: Shown, box: Rect): void {
    const { state } = this.context;
    const { scene, strength } = shown;
    const palette = paletteOf(state);
    const signed = formOf(state.now.measure.value) === "signed";
    const picture = signed ? null : this.#pictures.get(this.#number.value, this.#allScenes.length);
    const look = { opacity: Number(this.#opacity.value), picture, ramp: this.#ramp, tint: TINT };
    const of = (at: number) => {
      const value = this.#value(shown, at);
      return value === undefined ? undefined : strength(value);
    };
    paintPatches(pen, box, scene.places, of, look, palette);
    const { unitOf } = this.#axis(this.#side);
    const { pinned, active } = state.now;
    const marked = (units: readonly number[], color: string) => {
      for (const place of scene.places)
        if (units.includes(unitOf[place.token] as number)) outlinePlace(pen, box, place, color);
    };
    marked(pinned[this.#pinSide].value, palette.accent);
    marked(active[this.#pinSide].value, palette.ink);
    if (scene.seconds !== null) paintSeconds(pen, box, scene.seconds, palette);
  }

  get #ramp(): readonly Color[] {
    const { state } = this.context;
    const palette = paletteOf(state);
    return formOf(state.now.measure.value) === "signed" ? palette.diverging : palette.ramp;
  }

  #paintBar({ series }: Shown): void {
    const scenes = this.#allScenes;
    setText(this.#head, series.name);
    this.#picker.element.hidden = scenes.length < 2;
    setOptions(
      this.#picker.field,
      scenes.map((_, at) => [String(at), `${at + 1} of ${scenes.length}`]),
    );
    this.#picker.field.value = String(this.#number.value);
    this.#direction.element.hidden = !this.#same;
    this.#direction.field.value = this.#towards.value ? "to" : "from";
    this.#opacityField.hidden = !this.#pictures.size(this.#number.value, scenes.length);
  }

  #paintWords(shown: Shown): void {
    const { state } = this.context;
    const side = this.#same ? shown.side : other(shown.side);
    const placed = new Set<number>();
    if (this.#same) {
      const { unitOf } = this.#axis(side);
      for (const { places } of this.#allScenes)
        for (const { token } of places) placed.add(unitOf[token] as number);
    }
    const pinSide = other(shown.side);
    const units = range(0, this.#axis(side).units.length).filter((unit) => !placed.has(unit));
    const words = shown.words && units.map((unit) => shown.words?.[unit] as number);
    const most = Math.max(1e-9, ...(words ?? []).filter((value) => !Number.isNaN(value)).map(Math.abs));
    this.#words.paint({
      side: pinSide,
      units,
      value: (unit) => shown.words?.[unit],
      strength: (value) => Math.abs(value) / most,
      pinned: state.now.pinned[pinSide].value,
      pointed: (pinSide === "query" ? state.page.hoverQuery : state.page.hoverKey).value,
    });
  }

  #paintLegend(shown: Shown, measure: string): void {
    const { color_scale: scale } = this.context.state.synced;
    const picture = this.#pictures.size(this.#number.value, this.#allScenes.length);
    const tinted = (strength: number) => css(TINT, 0.08 + 0.85 * strength);
    const color = picture ? tinted : (strength: number) => css(rampAt(this.#ramp, strength));
    this.#scale.paint(color, shown.domain, labelOf(measure), scale.value);
    const axes = { query: this.#axis("query"), key: this.#axis("key") };
    this.#note.replaceChildren(...sceneNote(shown, axes, measure));
  }

  #value(shown: Shown, at: number): number | undefined {
    return valueAt(shown, this.#axis(shown.side), at);
  }

  #say(shown: Shown, at: number): string {
    return sayPlace(shown, this.#axis(shown.side), at);
  }

  #placeAt(event: MouseEvent): number {
    if (!this.#shown) return -1;
    const box = this.#box(this.#shown);
    const corner = this.#stage.getBoundingClientRect();
    const x = (event.clientX - corner.left - box.x) / box.width;
    const y = (event.clientY - corner.top - box.y) / box.height;
    return placeAt(this.#shown.scene, x, y);
  }

  /** Points at a place, which then is in question. */
  #point(at: number): void {
    const { state, tooltip } = this.context;
    const hover = this.#pinSide === "query" ? state.page.hoverQuery : state.page.hoverKey;
    const place = this.#shown?.scene.places[at];
    if (!place || !this.#shown) {
      hover.value = null;
      tooltip.hide();
      return;
    }
    hover.value = this.#axis(this.#pinSide).unitOf[place.token] ?? null;
    const box = this.#box(this.#shown);
    const corner = this.#stage.getBoundingClientRect();
    const [x, y] = [corner.left + box.x + place.x * box.width, corner.top + box.y + place.y * box.height];
    tooltip.show(
      this.#say(this.#shown, at),
      new DOMRect(x, y, place.width * box.width, place.height * box.height),
    );
  }

  #pin(at: number, add: boolean): void {
    const place = this.#shown?.scene.places[at];
    if (!place) return;
    this.#cursor = at;
    togglePin(
      this.context.state,
      this.#pinSide,
      this.#axis(this.#pinSide).unitOf[place.token] as number,
      add,
    );
  }

  #listen(): void {
    const on = listenTo(this.#stage, this.context.life);
    on("pointermove", (event) => this.#point(this.#placeAt(event)));
    on("pointerleave", () => this.#point(-1));
    on("focusout", () => this.#point(-1));
    on("click", (event) => {
      const at = this.#placeAt(event);
      if (at >= 0) this.#pin(at, event.shiftKey || event.ctrlKey || event.metaKey);
    });
    on("keydown", (event) => this.#key(event));
  }

  #key(event: KeyboardEvent): void {
    const shown = this.#shown;
    if (!shown || isShortcut(event)) return;
    const move = ARROWS[event.key];
    const ends: Record<string, number> = { Home: 0, End: shown.scene.places.length - 1 };
    const end = ends[event.key];
    if (move || end !== undefined) {
      this.#cursor = end ?? neighbour(shown.scene, this.#cursor, ...(move as readonly [number, number]));
      this.#point(this.#cursor);
      this.context.state.page.spoken.value = this.#say(shown, this.#cursor);
      this.context.scheduler.paint(this.#draw);
    } else if (event.key === "Enter" || event.key === " ") this.#pin(this.#cursor, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  choices = () => ({
    number: this.#number.value,
    towards: this.#towards.value,
    opacity: +this.#opacity.value,
  });

  picture(): HTMLCanvasElement | null {
    const { width, height } = this.#size;
    const canvas = el("canvas");
    const pen = prepare(canvas, width, height);
    if (!pen || !this.#shown) return null;
    pen.fillStyle = paletteOf(this.context.state).ground;
    pen.fillRect(0, 0, width, height);
    this.#paintStage(pen, this.#shown, this.#box(this.#shown));
    return canvas;
  }
}

export function createImage(context: Context): View {
  return new ImageView(context);
}
