import { computed, signal } from "@preact/signals-core";
import { clamp } from "../basics.js";
import { inkOf, paletteOf } from "../context.js";
import { setOptions } from "../controls/fields.js";
import type { HeadValues } from "../controls/headvalues.js";
import { roleColor } from "../controls/roles.js";
import { selectHead } from "../controls/selection.js";
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
  watch,
} from "../dom.js";
import { cellColor } from "../draw/headmap.js";
import { css } from "../draw/palette.js";
import {
  type Ends,
  endsOf,
  type Plane,
  type Point,
  paintCrowd,
  paintFront,
  placesOf,
  radiusOf,
} from "../draw/scatter.js";
import { shortHeadName, spokenHeadName } from "../headname.js";
import type { Head } from "../protocol.js";
import { sameHead } from "../state.js";
import { fixed } from "../text.js";
import type { ProfileContext } from "./context.js";
import { headAt, placeOf } from "./data.js";
import { said } from "./values.js";

const NEAR = 10;
/** Pixels the pointer moves before it marks an area. */
const DRAG = 4;
/** Most selected heads whose names and spread are drawn. */
const MOST_NAMED = 12;

/** Every head as a point over two statistics. */
export function makeScatter(context: ProfileContext, values: HeadValues): HTMLElement {
  const { profile: state, scheduler, life, tooltip } = context;
  const { profile, chosen, frame, hovered } = state;
  const kind = frame.now.kind.value;
  const most = Math.max(...profile.heads);
  const [canvas, over] = [el("canvas", { "aria-hidden": "true" }), el("canvas", { "aria-hidden": "true" })];
  const point = el("div", { role: "option", tabindex: 0, class: "scatter-point", "aria-selected": "false" });
  const plane = el(
    "div",
    { class: "scatter-plane", role: "listbox", "aria-multiselectable": "true" },
    canvas,
    over,
    point,
  );
  const size = signal<readonly [number, number]>([0, 0]);
  let brush: { from: [number, number]; to: [number, number] } | null = null;
  let order: { x: number[]; y: number[] } = { x: [], y: [] };

  const axis = (name: "x" | "y") => {
    const field = el("select", { "aria-label": name === "x" ? "Along the scatter" : "Up the scatter" });
    setOptions(
      field,
      profile.statistics.map((one) => [one.name, one.tokens ? `${one.label} (tokens)` : one.label]),
    );
    field.addEventListener("change", () => state.set({ [name]: field.value }));
    watch(life, () => {
      field.value = chosen[name].value;
    });
    return field;
  };
  const numbers = (name: "x" | "y") => profile.numbers("mean", chosen.by.value, chosen[name].value);
  const color = (at: number) => {
    const [row, head] = [Math.floor(at / most), at % most];
    const palette = paletteOf(frame);
    const role = values.roleAt(row, head);
    if (role) return css(roleColor(palette, role.name));
    return cellColor(palette, role === null ? undefined : values.strengthAt(row, head));
  };
  const ground = computed((): Plane => {
    const [width, height] = size.value;
    return { width, height, x: endsOf(numbers("x")), y: endsOf(numbers("y")) };
  });
  /** Places of the heads that have both numbers. */
  const there = computed(() => {
    const [xs, ys] = [numbers("x"), numbers("y")];
    return [...xs.keys()].filter(
      (place) =>
        headAt(profile, place) !== null && !Number.isNaN((xs[place] as number) + (ys[place] as number)),
    );
  });
  const pointOf = (place: number): Point => ({
    x: numbers("x")[place] as number,
    y: numbers("y")[place] as number,
    color: color(place),
  });
  const paint = () => {
    const { width, height } = ground.peek();
    const pen = life.aborted || width === 0 ? null : prepare(canvas, width, height);
    if (!pen) return;
    const palette = paletteOf(frame);
    const passes = state.passes.peek();
    const [points, others] = [1, 0].map((wanted) => there.peek().filter((place) => passes[place] === wanted));
    const faint = (others ?? []).map((place) => ({ ...pointOf(place), color: palette.hatch }));
    paintCrowd(pen, { ...ground.peek(), others: faint, points: (points ?? []).map(pointOf) }, palette);
  };
  const ringed = (head: Head, ring: string, named: boolean): Point => {
    const spread = (axis: "x" | "y") => said(state, chosen[axis].value, head).spread;
    return {
      ...pointOf(placeOf(profile, head)),
      ring,
      ...(named && { name: shortHeadName(kind, head), spread: { x: spread("x"), y: spread("y") } }),
    };
  };
  const paintOver = () => {
    const { width, height } = ground.peek();
    const pen = life.aborted || width === 0 ? null : prepare(over, width, height);
    if (!pen) return;
    const palette = paletteOf(frame);
    const selected = frame.now.heads.value;
    const inks = seriesOf(kind, selected, "none");
    const points = selected
      .map((head, at) => ringed(head, css(inkOf({ state: frame }, inks, at)), selected.length <= MOST_NAMED))
      .concat(hovered.value ? [ringed(hovered.value, palette.ink, true)] : [])
      .filter(({ x, y }) => !Number.isNaN(x + y));
    const about = hovered.value ?? state.head.value;
    const chance = (axis: "x" | "y") => said(state, chosen[axis].value, about).chance;
    paintFront(
      pen,
      {
        ...ground.peek(),
        count: there.peek().length,
        points,
        chance: { x: chance("x"), y: chance("y") },
        brush: brush && spanned(brush),
      },
      palette,
    );
    describe(at);
  };
  const spanned = ({ from, to }: NonNullable<typeof brush>): { x: Ends; y: Ends } => {
    const places = placesOf(ground.peek());
    const [a, b] = [places.at(...from), places.at(...to)];
    const ends = (side: 0 | 1) => ({ least: Math.min(a[side], b[side]), most: Math.max(a[side], b[side]) });
    return { x: ends(0), y: ends(1) };
  };

  let at: Head = state.head.peek();
  const describe = (head: Head) => {
    const [x, y] = [said(state, chosen.x.value, head), said(state, chosen.y.value, head)];
    const name = `${spokenHeadName(kind, head)}: ${state.label(chosen.x.value)} ${fixed(x.value, 3)}, ${state.label(chosen.y.value)} ${fixed(y.value, 3)}`;
    setAttribute(point, "aria-label", name);
    setAttribute(point, "data-at", head.join("."));
    setAttribute(point, "data-x", String(x.value));
    setAttribute(point, "data-y", String(y.value));
    setAttribute(point, "aria-selected", String(frame.now.heads.value.some((one) => sameHead(one, head))));
    const places = placesOf(ground.peek());
    const radius = radiusOf(there.peek().length) + 4;
    const [left, top] = [places.across(x.value) - radius, places.up(y.value) - radius];
    if (!Number.isNaN(left + top))
      setStyle(point, "transform", `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px)`);
    setStyle(point, "width", 2 * radius);
    setStyle(point, "height", 2 * radius);
    return name;
  };
  const nearest = (left: number, top: number): Head | null => {
    const places = placesOf(ground.peek());
    const [xs, ys] = [numbers("x"), numbers("y")];
    let [best, found] = [NEAR, -1];
    for (const place of state.places.value) {
      const far = Math.hypot(places.across(xs[place] as number) - left, places.up(ys[place] as number) - top);
      if (far < best) [best, found] = [far, place];
    }
    return found < 0 ? null : headAt(profile, found);
  };
  const where = ({ clientX, clientY }: MouseEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  };
  const on = listenTo(plane, life);
  on("pointerdown", (event) => {
    if (event.button !== 0) return;
    const from = where(event);
    brush = { from, to: from };
    plane.setPointerCapture(event.pointerId);
  });
  on("pointermove", (event) => {
    const to = where(event);
    if (brush) {
      brush.to = to;
      scheduler.paint(paintOver);
      return;
    }
    const head = nearest(...to);
    state.point(head);
    setStyle(plane, "cursor", head ? "pointer" : "crosshair");
    const name = head && describeOf(head);
    if (name) tooltip.show(name, new DOMRect(event.clientX, event.clientY, 1, 1));
    else tooltip.hide();
  });
  const describeOf = (head: Head) => {
    const lines = [chosen.x.value, chosen.y.value].map(
      (name) => `${state.label(name)} ${fixed(said(state, name, head).value, 2)}`,
    );
    return `${spokenHeadName(kind, head)}: ${lines.join(", ")}`;
  };
  on("pointerup", (event) => {
    const marked = brush;
    brush = null;
    scheduler.paint(paintOver);
    if (!marked) return;
    const add = event.shiftKey || event.ctrlKey || event.metaKey;
    if (Math.hypot(marked.to[0] - marked.from[0], marked.to[1] - marked.from[1]) < DRAG) {
      const head = nearest(...marked.from);
      if (head) choose(head, add);
      return;
    }
    const { x, y } = spanned(marked);
    const [xs, ys] = [numbers("x"), numbers("y")];
    const inside = state.places.value
      .filter((place) => within(xs[place] as number, x) && within(ys[place] as number, y))
      .map((place) => headAt(profile, place) as Head);
    const before = add ? frame.now.heads.value : [];
    if (inside.length > 0) state.set({ heads: union(before, inside) });
  });
  on("pointercancel", () => {
    brush = null;
    scheduler.paint(paintOver);
  });
  on("pointerleave", () => {
    state.point(null);
    tooltip.hide();
  });
  const choose = (head: Head, add: boolean) => {
    at = head;
    selectHead(frame, head, add);
    point.focus({ preventScroll: true });
  };
  on("focusin", () => state.point(at));
  on("focusout", () => state.point(null));
  on("keydown", (event) => {
    if (isShortcut(event)) return;
    const steps: Record<string, ["x" | "y", number]> = {
      ArrowRight: ["x", 1],
      ArrowLeft: ["x", -1],
      ArrowUp: ["y", 1],
      ArrowDown: ["y", -1],
      PageUp: ["y", 10],
      PageDown: ["y", -10],
      Home: ["x", Number.NEGATIVE_INFINITY],
      End: ["x", Number.POSITIVE_INFINITY],
    };
    const step = steps[event.key];
    if (step) {
      const line = order[step[0]];
      const place = line.indexOf(placeOf(profile, at));
      const next = line[clamp(Math.max(place, 0) + step[1], 0, line.length - 1)];
      const head = next === undefined ? null : headAt(profile, next);
      if (head) at = head;
      state.point(at);
      const name = describe(at);
      if (name) frame.page.spoken.value = name;
    } else if (event.key === "Enter" || event.key === " ") choose(at, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  watch(life, () => {
    const [xs, ys] = [numbers("x"), numbers("y")];
    const sorted = (numbers: Float32Array) =>
      state.places.value
        .filter((place) => !Number.isNaN((xs[place] as number) + (ys[place] as number)))
        .sort((a, b) => (numbers[a] as number) - (numbers[b] as number) || a - b);
    order = { x: sorted(xs), y: sorted(ys) };
    const label = `Heads by ${state.label(chosen.x.value)} and ${state.label(chosen.y.value)}: left and right go by the first, up and down by the second`;
    setAttribute(plane, "aria-label", label);
  });
  watch(life, () => {
    if (hovered.value === null && !focusedIn(plane)) at = state.head.value;
    void [ground.value, frame.now.heads.value, frame.page.dark.value, values.version.value];
    scheduler.paint(paintOver);
  });
  watch(life, () => {
    void [ground.value, there.value, frame.page.dark.value, values.version.value, state.passes.value];
    scheduler.paint(paint);
  });
  onSize(plane, life, (width, height) => {
    size.value = [width, height];
  });
  const legend = el("span", { class: "hint" });
  watch(life, () => {
    const means = chosen.by.value === "texts" ? "texts" : "queries";
    legend.textContent = `bars: spread over ${means} (s.d.) · dashed: chance`;
  });
  return el(
    "div",
    { class: "scatter" },
    el("div", { class: "scatter-up" }, axis("y")),
    plane,
    el("div", { class: "scatter-across" }, legend, axis("x")),
  );
}

const within = (value: number, { least, most }: Ends) => value >= least && value <= most;

/** Heads of both lists, each once. */
function union(before: readonly Head[], more: readonly Head[]): Head[] {
  const names = new Set(before.map(String));
  return [...before, ...more.filter((head) => !names.has(String(head)))];
}
