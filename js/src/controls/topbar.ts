import type { Context } from "../context.js";
import { button, el, onSize, revealIn, setAttribute, setText, watch } from "../dom.js";
import { drawsVectors, SAVES } from "../picture.js";
import type { KindInfo } from "../protocol.js";
import { fittingViews, VIEWS, viewOf } from "../views/registry.js";
import { setOptions } from "./fields.js";

export function describe({ label, layers, heads, queries, keys }: KindInfo): string {
  const [least, most] = [Math.min(...heads), Math.max(...heads)];
  const shape = `${layers.length} × ${least === most ? most : `${least}–${most}`} heads`;
  const tokens = keys
    ? `${queries.text.length} × ${keys.text.length} tokens`
    : `${queries.text.length} tokens`;
  return `${label} · ${shape} · ${tokens}`;
}

export interface TopBar {
  element: HTMLElement;
  tabs: ReadonlyMap<string, HTMLElement>;
}

/** Title, kind of attention, view tabs, the folded rails' buttons, the table and save. */
export function makeTopBar(
  context: Context,
  panel: string,
  table: HTMLElement,
  save: (raster: boolean) => void,
  fold: (rail: string) => void,
): TopBar {
  const { state, life } = context;
  const about = el("span", { class: "about" });
  const kinds = el("select", { "aria-label": "Kind of attention", class: "kinds" });
  kinds.addEventListener("change", () => {
    state.set({ kind: kinds.value, query: null, key: null, more_queries: [], more_keys: [] });
  });
  const title = el(
    "div",
    { class: "title" },
    el("b", { hidden: !state.capture.model }, state.capture.model),
    kinds,
    about,
  );
  const { element: tablist, tabs } = makeTabs(context, panel);
  const folds = el(
    "div",
    { class: "folds" },
    ...["heads", "details"].map((rail) =>
      button({ class: "fold", "data-rail": rail }, () => fold(rail), rail === "heads" ? "Heads" : "Details"),
    ),
  );
  watch(life, () => {
    const kind = state.now.kind.value;
    setText(about, describe(kind));
    kinds.hidden = state.capture.kinds.length < 2;
    setOptions(
      kinds,
      state.capture.kinds.map((entry) => [entry.kind, entry.kind]),
    );
    kinds.value = kind.kind;
  });
  const saver = button(
    { class: "save", "aria-label": "Save this view as a picture" },
    () => {},
    "⤓ ",
    el("span", {}, "Save"),
  );
  saver.addEventListener("click", ({ shiftKey }) => save(shiftKey), { signal: life });
  watch(life, () => setAttribute(saver, "title", SAVES[drawsVectors(context) ? "vector" : "raster"]));
  const element = el("div", { class: "topbar" }, title, folds, tablist, table, saver);
  return { element, tabs };
}

function makeTabs(
  { state, life }: Context,
  panel: string,
): { element: HTMLElement; tabs: Map<string, HTMLElement> } {
  const tabs = new Map<string, HTMLElement>();
  for (const { name, label } of VIEWS) {
    const tab = button(
      { role: "tab", id: `${panel}-${name}`, "aria-controls": panel },
      () => state.set({ view: name }),
      label,
    );
    tabs.set(name, tab);
  }
  const element = el("div", { class: "tabs", role: "tablist", "aria-label": "View" }, ...tabs.values());
  element.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined) return;
    const fitting = fittingViews(state);
    const at = fitting.indexOf(viewOf(state));
    const next = fitting[(at + by + fitting.length) % fitting.length];
    if (next) state.set({ view: next.name });
    if (next) tabs.get(next.name)?.focus();
    event.preventDefault();
    event.stopPropagation();
  });
  const reveal = () => {
    const tab = tabs.get(viewOf(state).name);
    if (tab) revealIn(element, tab);
  };
  onSize(element, life, reveal);
  watch(life, () => {
    const chosen = viewOf(state).name;
    const fitting = new Set(fittingViews(state).map(({ name }) => name));
    for (const [name, tab] of tabs) {
      tab.hidden = !fitting.has(name);
      setAttribute(tab, "aria-selected", String(name === chosen));
      setAttribute(tab, "tabindex", name === chosen ? 0 : -1);
    }
    reveal();
  });
  return { element, tabs };
}
