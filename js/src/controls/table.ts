import { type Axis, textAt } from "../attention/axis.js";
import { formOf, isShare, labelOf } from "../attention/measure.js";
import { type Context, inkOf } from "../context.js";
import type { Series } from "../data.js";
import { button, el, listenTo, setAttribute, setStyle, watch } from "../dom.js";
import { css } from "../draw/palette.js";
import { renew } from "../renew.js";
import { fixed, pieces, spoken } from "../text.js";
import { type Subject, subjectOf, valuesOf } from "./subject.js";
import { type Direction, orderRows, rowsThatFit, type Sorting } from "./table-order.js";

const SETTLE_MS = 40;
const DIGITS = 5;

export interface Table {
  element: HTMLElement;
  button: HTMLButtonElement;
  toggle(): void;
  /** Whether there was anything to close. */
  close(): boolean;
  /** Places mean something else from here on. */
  forget(): void;
}

interface Content {
  subject: Subject;
  all: readonly Series[];
  columns: readonly (Float32Array | undefined)[];
}

/** The exact numbers of the token in question as an HTML table, whatever the view: one column per head. */
export function makeTable(context: Context): Table {
  const { state, data, scheduler, life } = context;
  const { table: open } = state.page;
  let last: Subject | null = null;
  let from: HTMLElement | null = null;
  let sorting: Sorting = { by: "position", direction: "ascending" };
  let shape = "";

  const caption = el("caption");
  const header = el("tr");
  const body = el("tbody");
  const foot = el("tfoot");
  const table = el("table", {}, caption, el("thead", {}, header), body, foot);
  const hint = el("p", { class: "hint" }, "Hover or pin a token: its numbers stand here.");
  const note = el("p", { class: "table-note", role: "status" });
  const scroller = el(
    "div",
    { class: "table-scroller", role: "region", "aria-label": "Table of exact numbers", tabindex: 0 },
    hint,
    table,
  );
  const close = () => {
    if (!open.peek()) return false;
    const back = from?.isConnected ? from : toggler;
    open.value = false;
    back.focus({ preventScroll: true });
    return true;
  };
  const closer = button({ class: "table-close", "aria-label": "Close the table" }, close, "✕");
  const element = el("div", { class: "table-twin", hidden: true }, scroller, note, closer);
  const toggle = () => {
    if (close()) return;
    last = subjectOf(context) ?? last;
    from = focusedIn(element);
    open.value = true;
    scroller.focus({ preventScroll: true });
  };
  const toggler = button(
    { class: "table-button", "aria-label": "Table of exact numbers", title: "Table of exact numbers (t)" },
    toggle,
    "▦ ",
    el("span", {}, "Table"),
  );

  const content = (): Content | null => {
    const subject = subjectOf(context) ?? last;
    last = subject;
    if (!subject) return null;
    const all = data.series;
    return { subject, all, columns: all.map((series) => valuesOf(context, series, subject)) };
  };
  const sort = (by: Sorting["by"], first: Direction) => {
    const turned = sorting.direction === "ascending" ? "descending" : "ascending";
    sorting = { by, direction: sorting.by === by ? turned : first };
    scheduler.paint(paint);
  };
  const head = (by: Sorting["by"], first: Direction, title: string, text: string) =>
    el(
      "th",
      { scope: "col", title },
      button({ class: "sorter" }, () => sort(by, first), text),
    );
  /** The header stays as long as it can, and with it the focus. */
  const buildHeader = ({ subject, all }: Content) => {
    const names = [subject.side, ...all.map(({ name }) => name)].join("|");
    if (names === shape) return;
    shape = names;
    if (typeof sorting.by === "number" && sorting.by >= all.length)
      sorting = { by: "position", direction: "ascending" };
    const theirs = subject.side === "query" ? "key" : "query";
    header.replaceChildren(
      head("position", "ascending", `Position of the ${theirs}`, "#"),
      head("token", "ascending", `The ${theirs}`, theirs),
      ...all.map(({ name, short }, at) => head(at, "descending", name, short)),
    );
  };
  const paint = () => {
    if (life.aborted || !open.peek()) return;
    const now = content();
    table.hidden = now === null;
    hint.hidden = now !== null;
    note.hidden = now === null;
    if (!now) return;
    buildHeader(now);
    const by = ["position", "token", ...now.all.keys()];
    [...header.children].forEach((cell, at) => {
      setAttribute(cell, "aria-sort", by[at] === sorting.by ? sorting.direction : "none");
      if (at > 1) setStyle(cell as HTMLElement, "--ink", css(inkOf(context, now.all, at - 2)));
    });
    renew(caption, captionOf(context, now));
    const axis = (now.subject.side === "query" ? state.now.keys : state.now.queries).value;
    const rows = orderRows(axis, now.columns, sorting, {
      special: state.synced.special_tokens.value,
      signed: formOf(state.now.measure.value) === "signed",
      most: rowsThatFit(now.all.length),
    });
    const marked = now.subject.side === "query" ? state.now.pinned.key.value : [];
    renew(
      body,
      rows.shown.map((at) => rowOf(axis, at, now.columns, marked.includes(at))),
    );
    renew(foot, sums(context, now, rows.of));
    const what = now.subject.side === "query" ? "keys" : "queries";
    const part = rows.shown.length < rows.of ? `the strongest ${rows.shown.length} of` : "all";
    note.replaceChildren(
      `${part} ${rows.of} ${what} shown`,
      state.synced.special_tokens.value ? "" : " · without special tokens",
      " · no threshold",
    );
  };
  const later = scheduler.settle(SETTLE_MS);
  const request = () => {
    const subject = open.peek() ? last : null;
    data.need("table", subject?.side === "query" ? subject.units : []);
    data.needColumns("table key", subject?.side === "key" ? subject.units : []);
  };
  watch(life, () => {
    element.hidden = !open.value;
    setAttribute(toggler, "aria-expanded", String(open.value));
    if (!open.value) return;
    state.follow();
    void data.version.value;
    last = subjectOf(context) ?? last;
    later(request);
    scheduler.paint(paint);
  });
  listenTo(element, life)("keydown", (event) => {
    if (event.key !== "Escape") return;
    close();
    event.preventDefault();
    event.stopPropagation();
  });
  const forget = () => {
    last = null;
  };
  return { element, button: toggler, toggle, close, forget };
}

function focusedIn(near: HTMLElement): HTMLElement | null {
  const root = near.getRootNode() as Document | ShadowRoot;
  const at = root.activeElement;
  return at instanceof HTMLElement && at !== document.body ? at : null;
}

function token(text: string): HTMLElement {
  const node = el("bdi");
  for (const piece of pieces(text)) node.append(piece.sign ? el("i", {}, piece.text) : piece.text);
  return node;
}

function positions(axis: Axis, at: number): string {
  const { from, to } = axis.units[at] ?? { from: at, to: at + 1 };
  return to - from > 1 ? `${from}–${to - 1}` : String(from);
}

function captionOf({ state }: Context, { subject }: Content): (Node | string)[] {
  const { side, units, pinned } = subject;
  const { now, synced } = state;
  const axis = (side === "query" ? now.queries : now.keys).value;
  const names = units.flatMap((unit, at) => [
    at > 0 ? " + " : "",
    el("b", {}, el("bdi", {}, spoken(textAt(axis, unit)))),
    ` (${positions(axis, unit)})`,
  ]);
  const how = side === "query" ? "mean over these queries" : "sum over these keys";
  const measure = labelOf(now.measure.value);
  return [
    `${measure.charAt(0).toUpperCase()}${measure.slice(1)} of ${pinned ? "the pinned" : "the hovered"} `,
    units.length > 1 ? `${side === "query" ? "queries" : "keys"} ` : `${side} `,
    ...names,
    side === "query" ? ", one row per key" : ", one row per query",
    units.length > 1 ? ` · ${how}` : "",
    synced.view.value === "compare" ? " · first capture" : "",
  ];
}

function cell(value: number | undefined): HTMLElement {
  if (value === undefined) return el("td", {}, "…");
  const text = value === Number.NEGATIVE_INFINITY ? "−∞" : fixed(value, DIGITS);
  return el("td", { "data-weight": Number.isNaN(value) ? undefined : String(value) }, text);
}

function rowOf(
  axis: Axis,
  at: number,
  columns: readonly (Float32Array | undefined)[],
  marked: boolean,
): HTMLElement {
  const text = textAt(axis, at);
  const note = marked ? el("small", {}, " pinned") : "";
  const name = el("th", { scope: "row", title: spoken(text) }, token(text), note);
  const cells = columns.map((values) => cell(values && (values[at] as number)));
  return el(
    "tr",
    { "data-row": at, class: marked ? "pinned" : undefined },
    el("td", { class: "place" }, positions(axis, at)),
    name,
    ...cells,
  );
}

/** What the rows add up to, those not shown included. */
function sums({ state }: Context, { subject, columns }: Content, of: number): HTMLElement[] {
  if (subject.side !== "query" || !isShare(state.now.measure.value)) return [];
  const totals = columns.map((values) =>
    cell(values?.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : value), 0)),
  );
  return [el("tr", {}, el("td"), el("th", { scope: "row" }, `sum of all ${of}`), ...totals)];
}
