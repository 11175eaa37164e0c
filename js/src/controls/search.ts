import type { Context } from "../context.js";
import { el, setText, watch } from "../dom.js";
import { contains } from "../text.js";

/** Finds tokens; Enter pins the next one as the query, Shift+Enter the one before. */
export function makeSearch(context: Context): { element: HTMLElement; focus(): void } {
  const { state, life } = context;
  const field = el("input", {
    type: "search",
    "aria-label": "Find token",
    autocomplete: "off",
    spellcheck: "false",
  });
  const count = el("output", { class: "number", "aria-live": "polite" });
  const element = el("label", { class: "field find" }, el("span", {}, "find token"), field, count);
  let at = -1;
  const found = () =>
    state.now.queries.value.units.flatMap(({ text }, unit) => (contains(text, field.value) ? [unit] : []));
  const tell = () => {
    const hits = found();
    state.page.wanted.value = field.value;
    const place = at >= 0 && hits.length > 0 ? `${at + 1} of ${hits.length}` : String(hits.length);
    setText(count, field.value.trim() === "" ? "" : hits.length === 0 ? "none" : place);
  };
  const go = (by: number) => {
    const hits = found();
    if (hits.length === 0) return;
    at = ((((at < 0 && by < 0 ? 0 : at) + by) % hits.length) + hits.length) % hits.length;
    const unit = state.now.queries.value.units[hits[at] ?? 0];
    if (unit) state.set({ query: unit.from });
    tell();
  };
  field.addEventListener("input", () => {
    at = -1;
    tell();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape" && field.value !== "") {
      field.value = "";
      at = -1;
      tell();
      event.stopPropagation();
    } else return;
    event.preventDefault();
  });
  watch(life, () => {
    void state.now.queries.value;
    at = -1;
    tell();
  });
  return { element, focus: () => field.focus() };
}
