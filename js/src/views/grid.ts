import { atEnd, clamp, givenUp, messageOf, range } from "../basics.js";
import { type Context, inkOf, paletteOf } from "../context.js";
import { select, setOptions } from "../controls/fields.js";
import { type Role, roleAt, roleColor, roleLabel, shortLabel } from "../controls/roles.js";
import { selectHead } from "../controls/selection.js";
import { seriesOf } from "../data.js";
import { el, isShortcut, listenTo, onSize, prepare, setAttribute, setStyle, setText, watch } from "../dom.js";
import { css, inkOn, type Palette } from "../draw/palette.js";
import { GridCell } from "../gridcell.js";
import { shortHeadName, spokenHeadName } from "../headname.js";
import type { Head, KindInfo, Reply } from "../protocol.js";
import { sameHead } from "../state.js";
import { fixed, words } from "../text.js";
import { byNumber, comparedNote, headsOf, numberOf } from "./grid-order.js";
import { clip } from "./matrix-labels.js";
import type { View } from "./registry.js";
import { scaled, Thumbnails } from "./thumbnails.js";

const LEAST = 34;
const MOST = 92;
const GAP = 6;
/** Height of a line of text under a picture. */
const LINE = 12;
const PAD = 12;
const SETTLE_MS = 80;
const LAYER = "layer";
const LIKENESS = "likeness";
const ROLE = "role";
const NO_ROLE = "no clear role";

interface Layout {
  width: number;
  height: number;
  columns: number;
  size: number;
}

/** What a head has to say for the order that is shown. */
interface Order {
  heads: Head[];
  say(head: Head): string;
  role?(head: Head): Role | null;
  /** How the order came about, where that is worth knowing. */
  note?: string;
}

class Grid implements View {
  readonly element: HTMLElement;
  readonly #canvas = el("canvas", { "aria-hidden": "true" });
  readonly #stage = el("div", { class: "stage" });
  readonly #spacer = el("div");
  readonly #scroller: HTMLElement;
  readonly #note = el("div", { class: "legend" });
  readonly #order = select("order", [], (value) => {
    this.context.state.set({ order_by: value });
  });
  readonly #proxy = new GridCell("All heads");
  readonly #thumbnails: Thumbnails;
  readonly #replies = new Map<string, Reply>();
  readonly #later: (job: () => void) => void;
  readonly #draw = () => this.#paint();
  #asking: AbortController | null = null;
  #shown: Order = { heads: [], say: () => "" };
  #layout: Layout = { width: 0, height: 0, columns: 1, size: LEAST };
  #cursor = 0;

  constructor(readonly context: Context) {
    const { state, life, scheduler } = context;
    this.#thumbnails = new Thumbnails(context, () => scheduler.paint(this.#draw));
    this.#later = scheduler.settle(SETTLE_MS);
    this.#stage.append(this.#canvas, this.#proxy.element);
    this.#scroller = el("div", { class: "scroller", tabindex: -1 }, this.#stage, this.#spacer);
    const bar = el("div", { class: "grid-bar" }, this.#order.element);
    this.element = el("div", { class: "heads-grid" }, bar, this.#scroller, this.#note);
    this.#scroller.addEventListener("scroll", () => scheduler.paint(this.#draw), {
      signal: life,
      passive: true,
    });
    onSize(this.#scroller, life, () => scheduler.paint(this.#draw));
    watch(life, () => this.#follow());
    watch(life, () => {
      void [state.now.kind.value, state.now.heads.value, state.page.dark.value, state.synced.order_by.value];
      scheduler.paint(this.#draw);
    });
    atEnd(life, () => this.#asking?.abort(life.reason));
    this.#listen();
  }

  /** Puts the heads in the order asked for, as soon as it is known. */
  #follow(): void {
    const { state, source, scheduler } = this.context;
    const kind = state.now.kind.value;
    const by = this.#by;
    setOptions(this.#order.field, [
      [LAYER, "layer and head"],
      [LIKENESS, "likeness"],
      [ROLE, "role"],
      ...kind.statistics.map((name): [string, string] => [name, words(name)]),
    ]);
    this.#order.field.value = by;
    this.#shown = { heads: headsOf(kind), say: () => "" };
    this.#cursor = clamp(this.#cursor, 0, this.#shown.heads.length - 1);
    this.#asking?.abort(givenUp());
    if (by === LAYER) return;
    const known = this.#replies.get(`${kind.kind}|${by}`);
    if (known) {
      this.#shown = orderOf(kind, by, known);
      return;
    }
    const asking = new AbortController();
    this.#asking = asking;
    const request =
      by === LIKENESS || by === ROLE
        ? source.ask({ type: by === ROLE ? "roles" : LIKENESS, kind: kind.kind }, asking.signal)
        : source.statistic(kind.kind, by, asking.signal);
    request.then(
      (reply) => {
        if (asking.signal.aborted) return;
        this.#replies.set(`${kind.kind}|${by}`, reply);
        this.#shown = orderOf(kind, by, reply);
        scheduler.paint(this.#draw);
      },
      (error: unknown) => {
        if (!asking.signal.aborted) state.page.message.value = messageOf(error);
      },
    );
  }

  /** The order asked for, or that of layers where this kind of attention has no such numbers. */
  get #by(): string {
    const { now, synced } = this.context.state;
    const by = synced.order_by.value;
    return by === LIKENESS || by === ROLE || now.kind.value.statistics.includes(by) ? by : LAYER;
  }

  #measure(): void {
    const width = this.#scroller.clientWidth;
    const height = this.#scroller.clientHeight;
    const most = Math.max(1, ...this.context.state.now.kind.value.heads);
    const room = width - 2 * PAD;
    const fitting = Math.floor(room / most) - GAP;
    const size = clamp(fitting, LEAST, MOST);
    const columns = Math.max(1, fitting >= LEAST ? most : Math.floor((room + GAP) / (size + GAP)));
    this.#layout = { width, height, columns, size };
    setStyle(this.#stage, "height", height);
    setStyle(this.#spacer, "height", Math.max(0, this.#rows * this.#pitch + PAD - height));
  }

  get #pitch(): number {
    return this.#layout.size + GAP + 1 + LINE * (this.#by === LAYER || this.#by === LIKENESS ? 1 : 2);
  }

  get #rows(): number {
    return Math.ceil(this.#shown.heads.length / this.#layout.columns);
  }

  #corner(at: number): [x: number, y: number] {
    const { columns, size } = this.#layout;
    const y = PAD / 2 + Math.floor(at / columns) * this.#pitch - this.#scroller.scrollTop;
    return [PAD + (at % columns) * (size + GAP), y];
  }

  #visible(): number[] {
    const { height, columns } = this.#layout;
    const top = this.#scroller.scrollTop;
    const from = Math.max(0, Math.floor(top / this.#pitch)) * columns;
    const to = Math.min(this.#shown.heads.length, Math.ceil((top + height) / this.#pitch + 1) * columns);
    return range(from, to);
  }

  #paint(): void {
    const { state, life } = this.context;
    if (life.aborted) return;
    this.#measure();
    const { width, height } = this.#layout;
    if (width === 0 || height === 0) return;
    const visible = this.#visible();
    this.#later(() => {
      this.#thumbnails.want(this.#visible().map((at) => this.#shown.heads[at] as Head));
      this.#sayNote();
    });
    const pen = prepare(this.#canvas, width, height);
    const done = this.#thumbnails.inTime(() => pen && this.#paintHeads(pen, visible));
    if (!done) this.context.scheduler.paint(this.#draw);
    const { heads } = this.#shown;
    const [x, y] = this.#corner(this.#cursor);
    const { columns, size } = this.#layout;
    const head = heads[this.#cursor] as Head;
    this.#proxy.describe(
      [this.#rows, columns],
      [Math.floor(this.#cursor / columns), this.#cursor % columns],
      this.#name(head),
    );
    this.#proxy.place(x, y, size, size);
    setAttribute(this.#proxy.cell, "data-grid", head.join("."));
    setAttribute(
      this.#proxy.cell,
      "aria-selected",
      String(state.now.heads.value.some((one) => sameHead(one, head))),
    );
    this.#sayNote();
  }

  #sayNote(): void {
    const { heads } = this.#shown;
    const waits = this.#thumbnails.waits ? " · computing …" : "";
    setText(
      this.#note,
      `${heads.length.toLocaleString("en")} heads, each from 0 to its own largest weight${waits} · click opens a head, shift-click adds it${this.#shown.note ?? ""}`,
    );
  }

  #paintHeads(pen: CanvasRenderingContext2D, visible: readonly number[]): void {
    const { state } = this.context;
    const palette = paletteOf(state);
    const { size } = this.#layout;
    const chosen = state.now.heads.value;
    const series = seriesOf(state.now.kind.value, chosen, "none");
    pen.textBaseline = "top";
    for (const at of visible) {
      const head = this.#shown.heads[at] as Head;
      const [x, y] = this.#corner(at);
      const picture = this.#thumbnails.of(head, palette);
      const [wide, tall] = picture ? scaled(picture, size) : [size, size];
      pen.fillStyle = palette.placeholder;
      pen.fillRect(x, y, wide, tall);
      if (picture) {
        pen.imageSmoothingEnabled = picture.width > size;
        pen.drawImage(picture, x, y, wide, tall);
      }
      const place = chosen.findIndex((other) => sameHead(other, head));
      pen.strokeStyle = place < 0 ? palette.line : css(inkOf(this.context, series, place));
      pen.lineWidth = place < 0 ? 1 : 3;
      pen.strokeRect(x - 0.5, y - 0.5, wide + 1, tall + 1);
      this.#paintLabel(pen, head, x, y + tall + 2, palette);
    }
  }

  #paintLabel(pen: CanvasRenderingContext2D, head: Head, x: number, y: number, palette: Palette): void {
    const { size } = this.#layout;
    const said = this.#shown.say(head);
    pen.font = "10px system-ui, sans-serif";
    pen.fillStyle = palette.faint;
    const name = shortHeadName(this.context.state.now.kind.value, head);
    pen.fillText(clip(pen, name, 1.5 * size + 4), x, y, size + 4);
    if (!said) return;
    const role = this.#shown.role?.(head);
    let left = x;
    if (role) {
      const color = roleColor(palette, role.name);
      pen.fillStyle = css(color);
      pen.fillRect(x, y + LINE - 1, 10, 11);
      pen.fillStyle = inkOn(color);
      pen.textAlign = "center";
      pen.fillText(role.sign, x + 5, y + LINE);
      pen.textAlign = "left";
      left += 13;
    }
    pen.fillStyle = palette.ink;
    const text = role ? shortLabel(role.name) : said === NO_ROLE ? "–" : said;
    pen.fillText(clip(pen, text, x + size + 2 - left), left, y + LINE);
  }

  #name(head: Head): string {
    const said = this.#shown.say(head);
    const by =
      this.#by === LAYER || !said ? "" : `: ${this.#by === ROLE ? "" : `${words(this.#by)} `}${said}`;
    return `${spokenHeadName(this.context.state.now.kind.value, head)}${by}`;
  }

  #at(event: MouseEvent): number | null {
    const box = this.#stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const hit = this.#visible().find((at) => {
      const [left, top] = this.#corner(at);
      return x >= left && y >= top && x < left + this.#layout.size + 2 && y < top + this.#pitch - 2;
    });
    return hit ?? null;
  }

  #listen(): void {
    const { life, tooltip } = this.context;
    const on = listenTo(this.#stage, life);
    on("click", (event) => {
      const at = this.#at(event);
      if (at !== null) this.#choose(at, event.shiftKey || event.ctrlKey || event.metaKey);
    });
    on("pointermove", (event) => {
      const at = this.#at(event);
      if (at === null) tooltip.hide();
      else tooltip.show(this.#name(this.#shown.heads[at] as Head), this.#box(at));
    });
    on("pointerleave", () => tooltip.hide());
    on("keydown", (event) => this.#key(event));
  }

  #box(at: number): DOMRect {
    const box = this.#stage.getBoundingClientRect();
    const [x, y] = this.#corner(at);
    return new DOMRect(box.left + x, box.top + y, this.#layout.size, this.#layout.size);
  }

  /** Adds a head to the selection, or opens it. */
  #choose(at: number, add: boolean): void {
    const { state } = this.context;
    this.#cursor = at;
    const head = this.#shown.heads[at] as Head;
    selectHead(state, head, add);
    if (add) this.#proxy.cell.focus({ preventScroll: true });
    else state.set({ view: "matrix" });
  }

  #key(event: KeyboardEvent): void {
    if (isShortcut(event)) return;
    const { columns } = this.#layout;
    const steps: Record<string, number> = {
      ArrowLeft: this.#cursor - 1,
      ArrowRight: this.#cursor + 1,
      ArrowUp: this.#cursor - columns,
      ArrowDown: this.#cursor + columns,
      PageUp: this.#cursor - 4 * columns,
      PageDown: this.#cursor + 4 * columns,
      Home: 0,
      End: this.#shown.heads.length - 1,
    };
    const step = steps[event.key];
    if (step !== undefined) this.#move(clamp(step, 0, this.#shown.heads.length - 1));
    else if (event.key === "Enter") this.#choose(this.#cursor, event.shiftKey);
    else if (event.key === " ") this.#choose(this.#cursor, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #move(at: number): void {
    this.#cursor = at;
    const [, y] = this.#corner(at);
    if (y < 0) this.#scroller.scrollTop += y - PAD / 2;
    else if (y + this.#pitch > this.#layout.height) {
      this.#scroller.scrollTop += y + this.#pitch - this.#layout.height + PAD / 2;
    }
    this.#paint();
    this.#proxy.cell.focus({ preventScroll: true });
    this.context.state.page.spoken.value = this.#name(this.#shown.heads[at] as Head);
  }

  picture(): HTMLCanvasElement | null {
    const { width, height } = this.#layout;
    const canvas = el("canvas");
    const pen = prepare(canvas, width, height);
    if (!pen) return null;
    pen.fillStyle = paletteOf(this.context.state).ground;
    pen.fillRect(0, 0, width, height);
    this.#thumbnails.inTime(() => this.#paintHeads(pen, this.#visible()));
    return canvas;
  }
}

function orderOf(kind: KindInfo, by: string, reply: Reply): Order {
  const heads = headsOf(kind);
  const value = (head: Head) => numberOf(kind, reply, head);
  if (by === LIKENESS) {
    return { heads: byNumber(heads, value, "up"), say: () => "", note: comparedNote(reply) };
  }
  if (by !== ROLE) {
    return {
      heads: byNumber(heads, value, "down"),
      say: (head) => (Number.isNaN(value(head)) ? "none" : fixed(value(head), 2)),
    };
  }
  const role = ([layer, head]: Head) => roleAt(reply, kind.layers.indexOf(layer), head);
  return {
    heads: byNumber(heads, value, "up"),
    role,
    say: (head) => {
      const found = role(head);
      return found ? roleLabel(found.name) : NO_ROLE;
    },
  };
}

export function createGrid(context: Context): View {
  return new Grid(context);
}
