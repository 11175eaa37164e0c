import { signal } from "@preact/signals-core";
import { clamp } from "../basics.js";
import { inkOf } from "../context.js";
import { roleLabel } from "../controls/roles.js";
import { selectHead } from "../controls/selection.js";
import type { Direction } from "../controls/table-order.js";
import { seriesOf } from "../data.js";
import {
  button,
  el,
  focusedIn,
  isShortcut,
  listenTo,
  onSize,
  setAttribute,
  setStyle,
  setText,
  watch,
} from "../dom.js";
import { css } from "../draw/palette.js";
import { shortHeadName } from "../headname.js";
import type { Head } from "../protocol.js";
import { renew } from "../renew.js";
import { sameHead } from "../state.js";
import { fixed } from "../text.js";
import type { ProfileContext } from "./context.js";
import { headAt, placeOf } from "./data.js";

const ROW = 24;
/** Rows beyond those in sight that are there. */
const BEYOND = 6;
const DIGITS = 4;
const HIT = "_hit";

interface Sorting {
  by: string;
  direction: Direction;
}

/** Every head as a row of exact numbers; only the rows in sight are there. */
export function makeTable({ profile: state, scheduler, life }: ProfileContext): HTMLElement {
  const { profile, chosen, frame, hovered } = state;
  const kind = frame.now.kind.value;
  const columns = profile.statistics.filter(({ name }) => !name.endsWith(HIT));
  const sorting = signal<Sorting>({ by: "head", direction: "ascending" });
  const seen = signal<readonly [number, number]>([0, 0]);
  let rows: number[] = [];
  let current = 0;

  const header = el("tr", { "aria-rowindex": 1 });
  const body = el("tbody");
  const note = el("p", { class: "table-note", role: "status" });
  const table = el("table", { "aria-label": "Heads and their statistics" }, el("thead", {}, header), body);
  const scroller = el(
    "div",
    { class: "table-scroller", role: "region", "aria-label": "Table of heads" },
    table,
  );
  const head = (by: string, first: Direction, text: string, title: string) => {
    const cell = el(
      "th",
      { scope: "col", title, "data-by": by },
      button({ class: "sorter" }, () => sort(by, first), text),
    );
    header.append(cell);
  };
  const sort = (by: string, first: Direction) => {
    const before = sorting.peek();
    const turned = before.direction === "ascending" ? "descending" : "ascending";
    sorting.value = { by, direction: before.by === by ? turned : first };
    current = 0;
    scroller.scrollTop = 0;
  };
  head("head", "ascending", "head", "Layer and head");
  head("role", "ascending", "role", "The role it has by the largest margin");
  for (const { name, label, says } of columns) head(name, "descending", label, says);

  const order = () => {
    const { by, direction } = sorting.value;
    const turn = direction === "ascending" ? 1 : -1;
    const places = [...state.places.value];
    if (by === "head") return turn > 0 ? places : places.reverse();
    if (by === "role") {
      const name = (at: number) => profile.role(at) ?? "\uffff";
      return places.sort((a, b) => turn * name(a).localeCompare(name(b)) || a - b);
    }
    const values = profile.numbers("mean", chosen.by.value, by);
    return places.sort((a, b) => {
      const [left, right] = [values[a] as number, values[b] as number];
      // Heads without a number stand last either way.
      if (Number.isNaN(left) || Number.isNaN(right))
        return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || a - b;
      return turn * (left - right) || a - b;
    });
  };
  /** Rows that are there, by the head's place, with what they were made from. */
  let made = new Map<number, [from: string, line: HTMLElement]>();
  const row = (rank: number): HTMLElement => {
    const at = rows[rank] as number;
    const where = headAt(profile, at) as Head;
    const selected = frame.now.heads.value;
    const chosenAt = selected.findIndex((one) => sameHead(one, where));
    const isPointed = hovered.value !== null && sameHead(hovered.value, where);
    const { dark } = frame.page;
    const from = [
      rank,
      rank === current,
      chosenAt,
      selected.length,
      isPointed,
      chosen.by.value,
      dark.value,
    ].join();
    const known = made.get(at);
    if (known?.[0] === from) return known[1];
    const role = profile.role(at);
    const name = button(
      { "aria-pressed": String(chosenAt >= 0), tabindex: rank === current ? 0 : -1 },
      () => {},
      shortHeadName(kind, where),
    );
    if (chosenAt >= 0)
      setStyle(name, "--ink", css(inkOf({ state: frame }, seriesOf(kind, selected, "none"), chosenAt)));
    const line = el(
      "tr",
      {
        "data-for": at,
        "data-at": where.join("."),
        "data-rank": rank,
        "aria-rowindex": rank + 2,
        class: [chosenAt >= 0 && "pinned", isPointed && "pointed"].filter(Boolean).join(" ") || undefined,
      },
      el("th", { scope: "row" }, name),
      el("td", { class: "role" }, role ? roleLabel(role) : "–"),
      ...columns.map((column) => {
        const value = profile.numbers("mean", chosen.by.value, column.name)[at] as number;
        const none = Number.isNaN(value);
        return el(
          "td",
          { "data-weight": none ? undefined : String(value) },
          none ? "–" : fixed(value, DIGITS),
        );
      }),
    );
    made.set(at, [from, line]);
    return line;
  };
  const blank = (count: number, key: string) => {
    const cell = el("td", { colspan: columns.length + 2, "aria-hidden": "true" });
    setStyle(cell, "height", count * ROW);
    return el("tr", { class: "blank", "data-for": key, "aria-hidden": "true" }, cell);
  };
  const paint = () => {
    if (life.aborted || chosen.show.peek() !== "table") return;
    const [top, tall] = seen.peek();
    current = clamp(current, 0, Math.max(0, rows.length - 1));
    const first = clamp(Math.floor(top / ROW) - BEYOND, 0, Math.max(0, rows.length - 1));
    const last = clamp(Math.ceil((top + tall) / ROW) + BEYOND, 0, rows.length);
    const ranks = Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at);
    const lines = ranks.map(row);
    const there = new Set(ranks.map((rank) => rows[rank] as number));
    made = new Map([...made].filter(([at]) => there.has(at)));
    renew(body, [
      ...(first > 0 ? [blank(first, "above")] : []),
      ...lines,
      ...(last < rows.length ? [blank(rows.length - last, "below")] : []),
    ]);
    setAttribute(table, "aria-rowcount", rows.length + 1);
    for (const cell of header.children) {
      const { by, direction } = sorting.peek();
      setAttribute(cell, "aria-sort", (cell as HTMLElement).dataset.by === by ? direction : "none");
    }
    setText(
      note,
      `${rows.length} of ${profile.heads.reduce((sum, one) => sum + one, 0)} heads · mean over ${chosen.by.value === "rows" ? "queries" : "texts"}`,
    );
  };
  const rankOf = (event: Event) => {
    const line = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-rank]") : null;
    return line ? Number(line.dataset.rank) : null;
  };
  const on = listenTo(scroller, life);
  on("click", (event) => {
    const rank = rankOf(event);
    const where = rank === null ? null : headAt(profile, rows[rank] as number);
    if (rank === null || !where) return;
    current = rank;
    selectHead(frame, where, event.shiftKey || event.ctrlKey || event.metaKey);
  });
  on("pointermove", (event) => {
    const rank = rankOf(event);
    const where = rank === null ? null : headAt(profile, rows[rank] as number);
    state.point(where);
  });
  on("pointerleave", () => state.point(null));
  on("scroll", () => {
    seen.value = [scroller.scrollTop, scroller.clientHeight];
  });
  on("keydown", (event) => {
    const rank = rankOf(event);
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 2);
    const step = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -rows.length,
      End: rows.length,
    }[event.key];
    if (rank === null || step === undefined || isShortcut(event)) return;
    current = clamp(rank + step, 0, rows.length - 1);
    const top = current * ROW;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + 3 * ROW > scroller.scrollTop + scroller.clientHeight)
      scroller.scrollTop = top + 4 * ROW - scroller.clientHeight;
    seen.value = [scroller.scrollTop, scroller.clientHeight];
    paint();
    body.querySelector<HTMLElement>(`[data-rank="${current}"] button`)?.focus({ preventScroll: true });
    event.preventDefault();
    event.stopPropagation();
  });
  watch(life, () => {
    void [sorting.value, chosen.by.value];
    const before = rows[current];
    rows = order();
    current = Math.max(0, before === undefined ? 0 : rows.indexOf(before));
    if (current === 0) current = Math.max(0, rows.indexOf(placeOf(profile, state.head.peek())));
    scheduler.paint(paint);
  });
  watch(life, () => {
    const head = placeOf(profile, state.head.value);
    if (!focusedIn(scroller)) current = Math.max(0, rows.indexOf(head));
  });
  watch(life, () => {
    void [seen.value, frame.now.heads.value, hovered.value, frame.page.dark.value, chosen.show.value];
    scheduler.paint(paint);
  });
  onSize(scroller, life, (_, height) => {
    // What was out of sight comes into it where the selected head is.
    if (seen.peek()[1] === 0 && height > 0)
      scroller.scrollTop = Math.max(0, (current + 2) * ROW - height / 2);
    seen.value = [scroller.scrollTop, height];
  });
  return el("div", { class: "table-twin" }, scroller, note);
}
