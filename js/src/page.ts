import { type ReadonlySignal, signal } from "@preact/signals-core";
import { fetchAhead } from "./ahead.js";
import { atEnd, clamp, givenUp } from "./basics.js";
import type { Context } from "./context.js";
import { makeAbsent } from "./controls/absent.js";
import { makeBottomBar } from "./controls/bottombar.js";
import { makeInspector } from "./controls/inspector.js";
import { listenToKeys } from "./controls/keyboard.js";
import { makeRail } from "./controls/rail.js";
import { makeTable } from "./controls/table.js";
import { makeTooltip } from "./controls/tooltip.js";
import { makeTopBar } from "./controls/topbar.js";
import { Data } from "./data.js";
import { el, onSize, setAttribute, setStyle, setText, watch } from "./dom.js";
import { saveView } from "./picture.js";
import { whenQuiet } from "./rest.js";
import { Scheduler } from "./scheduler.js";
import type { Source } from "./source.js";
import type { State } from "./state.js";
import { followTheme } from "./theme.js";
import { fetchTokens } from "./tokens.js";
import { type View, viewOf } from "./views/registry.js";

const NARROW = 720;
/** Longest a frame that was replaced stays in sight. */
const PATIENCE_MS = 1_000;
let serial = 0;

export interface Options {
  /** Takes all the room there is. */
  fill?: boolean;
  /** Asks the kernel to end what it is at work on. */
  stop?: () => void;
}

/** Builds the frame in `host` and keeps it until `life` ends. */
export function mount(
  host: HTMLElement,
  state: State,
  source: Source,
  life: AbortSignal,
  { fill = false, stop = () => {} }: Options = {},
): void {
  const root = el("div", {
    class: fill ? "attnscope fill" : "attnscope",
    role: "region",
    "aria-label": state.capture.model ? `Attention of ${state.capture.model}` : "Attention",
    "data-ready": "false",
    "data-lm-suppress-shortcuts": "true",
    "data-jp-suppress-context-menu": "true",
  });
  const scheduler = new Scheduler(life, () => root.clientWidth > 0);
  const data = new Data(state, source, life);
  const context: Context = { state, source, data, scheduler, life, tooltip: makeTooltip(root) };

  const id = `attnscope-panel-${++serial}-${Math.random().toString(36).slice(2, 7)}`;
  const panel = el("div", { class: "panel", role: "tabpanel", id, tabindex: 0 });
  let view: View | null = null;
  const save = (raster: boolean) => void saveView(context, view, raster);
  const fold = (rail: string) => {
    const open = root.dataset.open === rail ? undefined : rail;
    setAttribute(root, "data-open", open);
    for (const node of top.element.querySelectorAll<HTMLElement>("[data-rail]")) {
      setAttribute(node, "aria-expanded", String(node.dataset.rail === open));
    }
  };
  const table = makeTable(context);
  const top = makeTopBar(context, id, table.button, save, fold);
  const rail = makeRail(context);
  const live = el("div", { class: "spoken", "aria-live": "polite" });
  const middle = el("div", { class: "middle" }, rail.element, panel, table.element, makeInspector(context));
  root.prepend(top.element, makeAbsent(context), middle, makeBottomBar(context, stop), live);
  succeed(host, root);

  showViews(context, panel, top.tabs, (next) => {
    view = next;
  });
  const find = () => {
    if (root.dataset.width === "narrow" && root.dataset.open !== "heads") fold("heads");
    rail.focusSearch();
  };
  listenToKeys(root, context, { find, table });
  followSize(root, context, fold);
  followLook(root, context, live, table.forget);
  const painted = followWork(root, context);
  fetchTokens(context, () => painted.value);
  fetchAhead(context);
  atEnd(life, () => {
    if (!root.classList.contains(LEAVING)) root.remove();
  });
}

const LEAVING = "leaving";

/** Takes the place of the frame that is there, which covers this one until this one is complete. */
function succeed(host: HTMLElement, root: HTMLElement): void {
  const before = [...host.children].find((child) => child.classList.contains("attnscope"));
  host.replaceChildren(root);
  if (!before) return;
  removeLeaving(before);
  before.classList.add(LEAVING);
  setAttribute(before, "inert", true);
  root.append(before);
  setTimeout(() => removeLeaving(root), PATIENCE_MS);
}

/** One view lives at a time; its listeners end with it. */
function showViews(
  context: Context,
  panel: HTMLElement,
  tabs: ReadonlyMap<string, HTMLElement>,
  tell: (view: View) => void,
): void {
  const { state, life } = context;
  let shown = "";
  let current: AbortController | null = null;
  atEnd(life, () => current?.abort(life.reason));
  watch(life, () => {
    const entry = viewOf(state);
    if (entry.name === shown) return;
    shown = entry.name;
    current?.abort(givenUp("Another view is shown."));
    current = new AbortController();
    const { signal } = current;
    state.page.hoverQuery.value = null;
    state.page.hoverKey.value = null;
    context.tooltip.hide();
    queueMicrotask(() => {
      if (signal.aborted) return;
      const view = entry.create({ ...context, life: signal });
      panel.replaceChildren(view.element);
      setAttribute(panel, "aria-labelledby", tabs.get(entry.name)?.id);
      tell(view);
    });
  });
}

function followSize(root: HTMLElement, { state, life }: Context, fold: (rail: string) => void): void {
  const follow = (width: number) => {
    const narrow = width < NARROW;
    state.page.narrow.value = narrow;
    setAttribute(root, "data-width", narrow ? (width < 520 ? "slim" : "narrow") : "wide");
    if (!narrow && root.dataset.open) fold(root.dataset.open);
  };
  // Known at once where there is a place, so that no view is first laid out for another width.
  if (root.clientWidth > 0) follow(root.clientWidth);
  onSize(root, life, follow);
}

function followLook(
  root: HTMLElement,
  { state, life }: Context,
  live: HTMLElement,
  forget: () => void,
): void {
  const update = followTheme(
    () => state.synced.theme.value,
    (dark) => {
      state.page.dark.value = dark;
    },
    life,
  );
  watch(life, update);
  watch(life, () => {
    setAttribute(root, "data-theme", state.page.dark.value ? "dark" : "light");
    setAttribute(root, "data-heads", state.page.wideHeads.value ? "wide" : undefined);
    const height = clamp(state.synced.height.value, 260, 4000);
    if (!root.classList.contains("fill")) setStyle(root, "height", height);
    setAttribute(root, "data-table", state.page.table.value);
    setText(live, state.page.spoken.value);
  });
  watch(life, () => {
    void [state.now.kind.value, state.synced.whole_words.value];
    state.page.hoverQuery.value = null;
    state.page.hoverKey.value = null;
    forget();
  });
}

function removeLeaving(root: Element): void {
  for (const child of [...root.children]) if (child.classList.contains(LEAVING)) child.remove();
}

/**
 * Says when all that is shown is complete and at rest: nothing asked for, left to paint or still to be laid out; and,
 * once, when the first view is painted, whatever else is still asked about all heads.
 */
function followWork(root: HTMLElement, context: Context): ReadonlySignal<boolean> {
  const { state, source, scheduler, life } = context;
  const { page } = state;
  const painted = signal(false);
  const follow = () => {
    state.follow();
    void [page.table.value, page.narrow.value, page.wideHeads.value, page.message.value];
  };
  const isBusy = () => source.pending.value + scheduler.pending.value > 0;
  const say = () => {
    if (painted.peek()) return;
    setAttribute(root, "data-painted", "true");
    painted.value = true;
  };
  whenIdle(
    life,
    () => {
      follow();
      setAttribute(root, "data-ready", "false");
      return !isBusy();
    },
    () => {
      say();
      if (isBusy()) return;
      setAttribute(root, "data-ready", "true");
      removeLeaving(root);
    },
  );
  whenIdle(
    life,
    () => {
      if (painted.peek()) return false;
      follow();
      return source.shown.value + scheduler.pending.value === 0;
    },
    say,
  );
  return painted;
}

/** Runs something whenever there was nothing to do for a moment. */
function whenIdle(life: AbortSignal, isIdle: () => boolean, run: () => void): void {
  let rest = new AbortController();
  watch(life, () => {
    rest.abort();
    if (!isIdle()) return;
    rest = new AbortController();
    whenQuiet(rest.signal, () => {
      if (!life.aborted) run();
    });
  });
  atEnd(life, () => rest.abort());
}
