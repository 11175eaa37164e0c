import { type Signal, signal } from "@preact/signals-core";
import { clamp } from "../basics.js";
import { type Ground, inkOf, paletteOf } from "../context.js";
import { seriesOf } from "../data.js";
import {
  el,
  focusedIn,
  isShortcut,
  listenTo,
  onSize,
  prepare,
  setAttribute,
  setStyle,
  setText,
  watch,
} from "../dom.js";
import {
  type CellLook,
  cellColor,
  type HeadGrid,
  paintHeadGrid,
  ROOM_FOR_SIGN,
  ringHead,
} from "../draw/headmap.js";
import { css, inkOn, type Palette } from "../draw/palette.js";
import { GridCell } from "../gridcell.js";
import { spokenHeadName } from "../headname.js";
import type { Head, KindInfo } from "../protocol.js";
import { makeColorScale } from "../scale.js";
import { sameHead } from "../state.js";
import { fixed } from "../text.js";
import type { HeadValues } from "./headvalues.js";
import { roleColor, roleLabel } from "./roles.js";
import { selectHead } from "./selection.js";

const MOST_CELLS = 32;
/** Cells smaller than this are hard to hit. */
const SMALL = 7;
const LABEL = 26;
/** From here on cells are whole pixels; smaller ones share what there is, so that all are seen. */
const WHOLE = 3;
const LEAST = 2;
/** The width of a map on a rail beside the view. */
const USUAL = 206;

const LARGEST = 15;

/** What a map shows beside its colours. */
export interface MapChoices {
  /** Pixels of a cell's side where there is room; {@link LARGEST} otherwise. */
  largest?: number;
  /** The head that is pointed at, here or elsewhere. */
  hovered?: Signal<Head | null>;
  /** Whether a head, by the place of its layer, is among those asked for; it is left without colour otherwise. */
  passes?: (row: number, head: number) => boolean;
}

/** Layers × heads, coloured by a question; the selector of layer and heads. */
export class HeadMap {
  readonly element = el("div", { class: "headmap" });
  readonly scale = makeColorScale();
  /** Whether the cells are small, or would be if the map were not given more room. */
  readonly large = signal(false);
  readonly #draw = () => this.#paint();
  #cells: HTMLElement[][] = [];
  #canvas: HTMLCanvasElement | null = null;
  #proxy: GridCell | null = null;
  #kind: KindInfo | undefined;
  #at: [number, number] = [0, 0];
  #pitch = 15;
  /** Inside of its borders; 0 until it is known. */
  #width = 0;
  #painted: HTMLCanvasElement | undefined;
  #paintedFrom: unknown[] = [];

  constructor(
    readonly context: Ground,
    readonly values: HeadValues,
    /** The one role that is shown; null for all. */
    readonly only: Signal<string | null>,
    readonly choices: MapChoices = {},
  ) {
    const { state, life, scheduler } = context;
    onSize(this.element, life, (width) => {
      const before = this.#pitch;
      this.#width = width;
      if (width > 0) this.#fit(width);
      if (this.#pitch !== before && this.#canvas) this.#kind = undefined;
      scheduler.paint(this.#draw);
    });
    watch(life, () => {
      void [state.now.kind.value, state.now.heads.value, state.page.dark.value, values.version.value];
      void [state.synced.color_scale.value, values.question.value, this.only.value];
      void choices.hovered?.value;
      scheduler.paint(this.#draw);
    });
    this.#listen();
  }

  /** Paints again where what decides its choices has changed. */
  repaint(): void {
    this.#painted = undefined;
    this.context.scheduler.paint(this.#draw);
  }

  get #most(): number {
    return Math.max(1, ...(this.#kind?.heads ?? [1]));
  }

  #fit(width: number): void {
    if (!this.context.state.page.wideHeads.peek()) this.large.value = (width - LABEL) / this.#most < SMALL;
    const exact = (width - LABEL) / this.#most;
    this.#pitch =
      exact < WHOLE
        ? Math.max(LEAST, exact)
        : clamp(Math.floor(exact), WHOLE, this.choices.largest ?? LARGEST);
    setStyle(this.element, "--pitch", this.#pitch);
    setStyle(this.element, "--gap", this.#pitch > 5 ? "1px" : "0px");
  }

  #build(kind: KindInfo): void {
    const [row, head] = this.#at;
    if (kind.layers[row] === undefined || head >= (kind.heads[row] ?? 0)) this.#at = [0, 0];
    this.#kind = kind;
    this.#cells = [];
    this.#canvas = null;
    this.#proxy = null;
    this.#fit(this.#width || USUAL);
    const large = kind.layers.length > MOST_CELLS || this.#most > MOST_CELLS;
    this.element.replaceChildren(large ? this.#buildCanvas(kind) : this.#buildCells(kind), this.#ticks());
  }

  #buildCells(kind: KindInfo): HTMLElement {
    const grid = el("div", {
      role: "grid",
      class: "head-grid",
      "aria-label": "Heads: rows are layers, columns are heads",
      "aria-multiselectable": "true",
    });
    kind.layers.forEach((layer, row) => {
      const line = el("div", { role: "row", class: "head-row" });
      line.append(el("div", { role: "rowheader", class: "layer-name" }, `L${layer}`));
      this.#cells.push([]);
      for (let head = 0; head < (kind.heads[row] ?? 0); head++) {
        const cell = el("div", {
          role: "gridcell",
          class: "head-cell",
          "data-layer": layer,
          "data-head": head,
          tabindex: -1,
        });
        this.#cells[row]?.push(cell);
        line.append(cell);
      }
      grid.append(line);
    });
    return grid;
  }

  #buildCanvas(kind: KindInfo): HTMLElement {
    this.#canvas = el("canvas", { "aria-hidden": "true" });
    this.#proxy = new GridCell("Heads: rows are layers, columns are heads");
    const names = el("div", { class: "layer-names", "aria-hidden": "true" });
    const every = Math.ceil(12 / this.#pitch);
    kind.layers.forEach((layer, row) => {
      if (row % every !== 0) return;
      const name = el("span", {}, `L${layer}`);
      setStyle(name, "top", row * this.#pitch);
      names.append(name);
    });
    return el("div", { class: "head-canvas" }, names, this.#canvas, this.#proxy.element);
  }

  #ticks(): HTMLElement {
    const ticks = el("div", { class: "head-ticks", "aria-hidden": "true" });
    const every = this.#most <= 16 ? 3 : this.#most <= 40 ? 8 : 16;
    for (let head = 0; head < this.#most; head += every) {
      const tick = el("span", {}, String(head));
      setStyle(tick, "left", LABEL + (head + 0.5) * this.#pitch);
      ticks.append(tick);
    }
    return ticks;
  }

  #name(row: number, head: number): string {
    const kind = this.#kind as KindInfo;
    const name = spokenHeadName(kind, [kind.layers[row] as number, head]);
    const value = this.values.valueAt(row, head);
    const role = this.values.roleAt(row, head);
    const left = this.#passes(row, head) ? "" : " (filtered out)";
    if (role !== undefined) {
      const said = role
        ? `${roleLabel(role.name)} ${fixed(role.score, 2)}, chance ${fixed(role.chance, 2)}`
        : "no clear role";
      return `${name}: ${said}${left}`;
    }
    const number =
      value === undefined ? "" : `: ${this.values.label} ${Number.isNaN(value) ? "none" : fixed(value, 2)}`;
    return `${name}${number}${left}`;
  }

  #passes(row: number, head: number): boolean {
    return this.choices.passes?.(row, head) ?? true;
  }

  #look(palette: Palette, row: number, head: number): CellLook {
    if (!this.#passes(row, head)) return { color: palette.placeholder };
    const role = this.values.roleAt(row, head);
    if (role === undefined) return { color: cellColor(palette, this.values.strengthAt(row, head)) };
    if (!role || (this.only.value !== null && this.only.value !== role.name)) {
      return { color: palette.placeholder };
    }
    const color = roleColor(palette, role.name);
    return { color: css(color), sign: role.sign, ink: inkOn(color) };
  }

  #paint(): void {
    const { state, life } = this.context;
    if (life.aborted) return;
    const kind = state.now.kind.value;
    if (kind !== this.#kind) this.#build(kind);
    const heads = state.now.heads.value;
    const palette = paletteOf(state);
    const { domain } = this.values;
    this.scale.element.hidden = this.values.byRole;
    setStyle(this.scale.element, "visibility", domain ? "" : "hidden");
    if (domain)
      this.scale.paint(
        (strength) => cellColor(palette, strength),
        domain,
        "",
        state.synced.color_scale.value,
      );
    const series = seriesOf(kind, heads, "none");
    const inks = heads.map((_, at) => css(inkOf(this.context, series, at)));
    const last = heads[heads.length - 1];
    const focused = this.#focused();
    const pointed = this.choices.hovered?.peek();
    if (!focused && last) this.#at = [kind.layers.indexOf(last[0]), last[1]];
    if (this.#canvas) this.#paintCanvas(this.#canvas, kind, heads, inks);
    this.#cells.forEach((row, at) => {
      row.forEach((cell, head) => {
        const chosen = heads.findIndex((other) => sameHead(other, [kind.layers[at] as number, head]));
        const look = this.#look(palette, at, head);
        setStyle(cell, "background-color", look.color);
        setStyle(cell, "color", look.ink ?? "");
        setText(cell, this.#pitch >= ROOM_FOR_SIGN ? (look.sign ?? "") : "");
        cell.classList.toggle("pointed", pointed?.[0] === kind.layers[at] && pointed?.[1] === head);
        if (chosen < 0) cell.style.removeProperty("--ring");
        else setStyle(cell, "--ring", inks[chosen] as string);
        setAttribute(cell, "aria-selected", String(chosen >= 0));
        setAttribute(cell, "aria-label", this.#name(at, head));
        setAttribute(cell, "tabindex", at === this.#at[0] && head === this.#at[1] ? 0 : -1);
      });
    });
  }

  /** The map without what is selected, painted anew only when its colours change. */
  #ground(grid: HeadGrid, palette: Palette): HTMLCanvasElement {
    const { values, context } = this;
    const from = [
      this.#kind,
      palette,
      grid.pitch,
      values.version.peek(),
      this.only.peek(),
      context.state.synced.color_scale.peek(),
    ];
    if (this.#painted && from.every((value, at) => value === this.#paintedFrom[at])) return this.#painted;
    const canvas = el("canvas");
    const pen = prepare(canvas, grid.heads * grid.pitch, grid.layers * grid.pitch);
    if (pen) paintHeadGrid(pen, grid);
    this.#paintedFrom = from;
    this.#painted = canvas;
    return canvas;
  }

  #paintCanvas(
    canvas: HTMLCanvasElement,
    kind: KindInfo,
    heads: readonly Head[],
    inks: readonly string[],
  ): void {
    const pitch = this.#pitch;
    const pen = prepare(canvas, this.#most * pitch, kind.layers.length * pitch);
    const exists = (row: number, head: number) => head < (kind.heads[row] ?? 0);
    if (pen) {
      const palette = paletteOf(this.context.state);
      const look = (row: number, head: number) =>
        exists(row, head) ? this.#look(palette, row, head) : undefined;
      const grid = { layers: kind.layers.length, heads: this.#most, pitch, look };
      pen.drawImage(this.#ground(grid, palette), 0, 0, this.#most * pitch, kind.layers.length * pitch);
      heads.forEach(([layer, head], index) => {
        ringHead(pen, grid, [kind.layers.indexOf(layer), head], [palette.ground, inks[index] as string]);
      });
      const at = this.choices.hovered?.peek();
      if (at) ringHead(pen, grid, [kind.layers.indexOf(at[0]), at[1]], [palette.ground, palette.ink]);
    }
    const [row, head] = this.#at;
    this.#proxy?.describe([kind.layers.length, this.#most], this.#at, this.#name(row, head));
    this.#proxy?.place(head * pitch, row * pitch, pitch, pitch);
    const cell = this.#proxy?.cell;
    if (!cell) return;
    const layer = kind.layers[row] as number;
    setAttribute(cell, "data-layer", layer);
    setAttribute(cell, "data-head", head);
    setAttribute(cell, "aria-selected", String(heads.some((other) => sameHead(other, [layer, head]))));
  }

  #focused(): boolean {
    return focusedIn(this.element) !== null;
  }

  #place(event: Event): [number, number] | null {
    const cell = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-layer]") : null;
    const kind = this.#kind;
    if (!kind) return null;
    if (cell && !(event instanceof MouseEvent && this.#canvas)) {
      return [kind.layers.indexOf(Number(cell.dataset.layer)), Number(cell.dataset.head)];
    }
    if (!this.#canvas || !(event instanceof MouseEvent)) return null;
    const box = this.#canvas.getBoundingClientRect();
    const [row, head] = [event.clientY - box.top, event.clientX - box.left].map((at) =>
      Math.floor(at / this.#pitch),
    );
    if (row === undefined || head === undefined || row < 0 || head < 0 || head >= (kind.heads[row] ?? 0))
      return null;
    return [row, head];
  }

  #listen(): void {
    const on = listenTo(this.element, this.context.life);
    on("click", (event) => {
      const place = this.#place(event);
      if (place) this.#select(place, event.shiftKey || event.ctrlKey || event.metaKey);
    });
    on("pointermove", (event) => this.#explain(event));
    on("pointerleave", () => this.#point(null));
    on("focusout", () => this.#point(null));
    on("keydown", (event) => this.#key(event));
  }

  #explain(event: PointerEvent): void {
    const place = this.#place(event);
    this.#point(place);
    if (!place) return;
    const cell = this.#cells[place[0]]?.[place[1]];
    const near = cell?.getBoundingClientRect() ?? new DOMRect(event.clientX, event.clientY, 1, 1);
    this.context.tooltip.show(this.#name(...place), near);
  }

  #point(place: [number, number] | null): void {
    const { hovered } = this.choices;
    const layer = place && this.#kind?.layers[place[0]];
    const head: Head | null = place && layer != null ? [layer, place[1]] : null;
    const before = hovered?.peek();
    if (hovered && !(head && before && sameHead(head, before))) hovered.value = head;
    if (!place) this.context.tooltip.hide();
  }

  #select(place: [number, number], add: boolean): void {
    this.#at = place;
    const layer = this.#kind?.layers[place[0]];
    if (layer !== undefined) selectHead(this.context.state, [layer, place[1]], add);
    (this.#cells[place[0]]?.[place[1]] ?? this.#proxy?.cell)?.focus({ preventScroll: true });
  }

  #key(event: KeyboardEvent): void {
    if (isShortcut(event) || !this.#kind) return;
    const [row, head] = this.#at;
    const steps: Record<string, [number, number]> = {
      ArrowUp: [row - 1, head],
      ArrowDown: [row + 1, head],
      ArrowLeft: [row, head - 1],
      ArrowRight: [row, head + 1],
      Home: [row, 0],
      End: [row, this.#most],
      PageUp: [row - 8, head],
      PageDown: [row + 8, head],
    };
    const step = steps[event.key];
    if (step) this.#move(step);
    else if (event.key === "Enter" || event.key === " ") this.#select(this.#at, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #move([row, head]: [number, number]): void {
    const kind = this.#kind as KindInfo;
    const at = clamp(row, 0, kind.layers.length - 1);
    this.#at = [at, clamp(head, 0, (kind.heads[at] ?? 1) - 1)];
    this.#paint();
    this.#point(this.#at);
    const cell = this.#cells[this.#at[0]]?.[this.#at[1]] ?? this.#proxy?.cell;
    cell?.focus();
    cell?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (this.#proxy) this.context.state.page.spoken.value = this.#name(...this.#at);
  }
}
