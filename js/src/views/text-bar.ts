import type { Context } from "../context.js";
import { checkbox, select, setOptions } from "../controls/fields.js";
import { button, el, setAttribute, setText } from "../dom.js";
import type { Side } from "../state.js";
import { GROUPINGS, type Grouping } from "./text-passages.js";

export interface BarPaint {
  direction: Side;
  grouping: Grouping | null;
  /** What the text can be grouped by. */
  groupings: readonly Grouping[];
  bySize: boolean;
  allFolded: boolean;
}

export interface BarEvents {
  turn(direction: Side): void;
  sort(): void;
  foldAll(): void;
}

export interface TextBar {
  element: HTMLElement;
  paint(paint: BarPaint): void;
}

const NONE = "none";

/** The direction, the grouping and the white space of a text. */
export function makeTextBar({ state }: Context, events: BarEvents): TextBar {
  const small = (text: string, run: () => void) => button({ class: "small" }, run, text);
  const directions = {
    query: small("attends to", () => events.turn("query")),
    key: small("attended by", () => events.turn("key")),
  };
  const group = select("group by", [], (value) => state.set({ group_by: value }));
  const sort = small("largest first", events.sort);
  const fold = small("fold all", events.foldAll);
  const spaces = checkbox("white space", (on) => state.set({ visible_spaces: on }));
  const turning = el(
    "div",
    { class: "turning", role: "group", "aria-label": "Direction" },
    ...Object.values(directions),
  );
  return {
    element: el("div", { class: "matrix-bar text-bar" }, turning, group.element, sort, fold, spaces.element),
    paint({ direction, grouping, groupings, bySize, allFolded }) {
      for (const side of ["query", "key"] as const)
        setAttribute(directions[side], "aria-pressed", String(side === direction));
      setOptions(group.field, [[NONE, "nothing"], ...GROUPINGS.filter(([name]) => groupings.includes(name))]);
      group.field.value = grouping ?? NONE;
      setAttribute(sort, "aria-pressed", String(bySize));
      sort.disabled = grouping === null;
      fold.disabled = grouping === null;
      setText(fold, allFolded ? "unfold all" : "fold all");
      spaces.field.checked = state.synced.visible_spaces.value;
    },
  };
}
