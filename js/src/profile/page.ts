import { atEnd, clamp, messageOf } from "../basics.js";
import { setOptions } from "../controls/fields.js";
import { HeadMap } from "../controls/headmap.js";
import { makeRoleLegend } from "../controls/rolelegend.js";
import { makeTooltip } from "../controls/tooltip.js";
import { button, el, onSize, setAttribute, setStyle, setText, watch } from "../dom.js";
import { followRest } from "../rest.js";
import { Scheduler } from "../scheduler.js";
import type { KernelChannel } from "../source/kernel.js";
import { followTheme } from "../theme.js";
import { hearKeys, isTyping } from "../typing.js";
import type { ProfileContext } from "./context.js";
import type { Hit } from "./data.js";
import { makeFilters } from "./filters.js";
import { saveProfile } from "./picture.js";
import { makeScatter } from "./scatter.js";
import type { ProfileState } from "./state.js";
import { makeTable } from "./table.js";
import { makeTexts } from "./texts.js";
import { profileValues } from "./values.js";

const NARROW = 760;
const LARGEST = 24;

export interface Options {
  /** Takes all the room there is. */
  fill?: boolean;
  channel?: KernelChannel | null;
  opens?: () => boolean;
  /** Something that wants the room of the page; it is told when it is to go. */
  open?: (hit: Hit) => Promise<void>;
}

/** Builds the page in `host` and keeps it until `life` ends; gives its root. */
export function mountProfile(
  host: HTMLElement,
  state: ProfileState,
  life: AbortSignal,
  { fill = false, channel = null, opens = () => false, open = async () => {} }: Options = {},
): HTMLElement {
  const { profile, frame } = state;
  const of = profile.model ? `Heads of ${profile.model}` : "Heads";
  const root = el("div", {
    class: fill ? "attnscope profile fill" : "attnscope profile",
    role: "region",
    "aria-label": `${of} over ${profile.counts.texts} texts`,
    "data-ready": "false",
    "data-lm-suppress-shortcuts": "true",
    "data-jp-suppress-context-menu": "true",
  });
  const scheduler = new Scheduler(life, () => root.clientWidth > 0);
  const context: ProfileContext = {
    profile: state,
    state: frame,
    scheduler,
    life,
    tooltip: makeTooltip(root),
    channel,
    opens,
  };
  const values = profileValues(state);
  const id = `attnscope-profile-${Math.random().toString(36).slice(2, 9)}`;
  const tabs = makeTabs(context, id);
  const scatter = makeScatter(context, values);
  const table = makeTable(context);
  const panel = el("div", { class: "panel", role: "tabpanel", id, tabindex: 0 }, scatter, table);
  watch(life, () => {
    const isTable = state.chosen.show.value === "table";
    scatter.hidden = isTable;
    table.hidden = !isTable;
    setAttribute(panel, "aria-labelledby", `${id}-${state.chosen.show.value}`);
  });
  const opening = async (hit: Hit, from: HTMLElement) => {
    scheduler.pending.value = scheduler.pending.peek() + 1;
    from.setAttribute("aria-busy", "true");
    frame.page.message.value = `text ${hit.text} is being captured …`;
    try {
      await open(hit);
      frame.page.message.value = "";
    } catch (error) {
      if (!life.aborted) frame.page.message.value = messageOf(error);
    } finally {
      from.removeAttribute("aria-busy");
      scheduler.pending.value = scheduler.pending.peek() - 1;
    }
  };
  const middle = el(
    "div",
    { class: "middle" },
    el("div", { class: "map-side" }, ...makeMap(context, values)),
    panel,
    makeTexts(context, opening),
  );
  const live = el("div", { class: "spoken", "aria-live": "polite" });
  root.prepend(makeTop(context, tabs), makeFilters(context), middle, makeBottom(context), live);
  host.replaceChildren(root);
  listenToKeys(root, context);
  followLook(root, context, live);
  const busy = () => {
    void [state.all(), frame.page.dark.value, state.hovered.value, frame.page.message.value];
    return scheduler.pending.value > 0;
  };
  followRest(root, busy, life);
  atEnd(life, () => root.remove());
  return root;
}

function makeMap(context: ProfileContext, values: ReturnType<typeof profileValues>): HTMLElement[] {
  const { profile: state, life } = context;
  const { profile, chosen, passes, hovered } = state;
  const menu = el("select", { "aria-label": "Heads coloured by", class: "question" });
  const says = el("p", { class: "hint says" });
  menu.addEventListener("change", () => state.set({ color_by: menu.value }));
  setOptions(menu, [
    ...profile.statistics.map((one) => [one.name, one.label] as const),
    ...(profile.roles.length > 0 ? [["role", "role"] as const] : []),
  ]);
  const most = Math.max(...profile.heads);
  const legend = makeRoleLegend(context, values);
  const map = new HeadMap(context, values, legend.only, {
    largest: LARGEST,
    hovered,
    passes: (row, head) => passes.peek()[row * most + head] === 1,
  });
  watch(life, () => {
    void [passes.value];
    map.repaint();
  });
  watch(life, () => {
    menu.value = chosen.color_by.value;
    const name = profile.statistics.find((one) => one.name === chosen.color_by.value);
    setText(says, name ? name.says : "the role it has by the largest margin over chance, from half-way on");
  });
  return [
    el("h3", { class: "question-line" }, "Heads — coloured by ", menu),
    says,
    map.element,
    map.scale.element,
    legend.element,
  ];
}

function makeTop({ profile: state, channel, life }: ProfileContext, tabs: HTMLElement): HTMLElement {
  const { profile, frame } = state;
  const { texts, tokens, skipped, cut } = profile.counts;
  const [least, most] = [Math.min(...profile.heads), Math.max(...profile.heads)];
  const about = [
    `${profile.layers.length} × ${least === most ? most : `${least}–${most}`} heads`,
    `${texts.toLocaleString("en")} texts of ${tokens.toLocaleString("en")} tokens`,
    skipped > 0 ? `${skipped} left out` : "",
    cut > 0 ? `${cut} cut` : "",
    profile.content ? "without special tokens" : "",
  ];
  const title = el(
    "div",
    { class: "title" },
    el("b", { hidden: !profile.model }, profile.model),
    el("span", { class: "about" }, about.filter(Boolean).join(" · ")),
  );
  const saver = button(
    { class: "save", "aria-label": "Save this view as a picture" },
    () => {},
    "⤓ ",
    el("span", {}, "Save"),
  );
  saver.addEventListener(
    "click",
    () => {
      const dark = frame.page.dark.peek();
      saveProfile(channel, state, dark, life).catch((error: unknown) => {
        frame.page.message.value = messageOf(error);
      });
    },
    { signal: life },
  );
  watch(life, () => {
    const isLive = channel?.status.value === "live";
    saver.hidden = !isLive;
  });
  return el("div", { class: "topbar" }, title, tabs, saver);
}

function makeTabs({ profile: { chosen }, profile: state, life }: ProfileContext, id: string): HTMLElement {
  const names = ["scatter", "table"] as const;
  const tabs = names.map((name) =>
    button(
      { role: "tab", id: `${id}-${name}`, "aria-controls": id },
      () => state.set({ show: name }),
      name === "scatter" ? "Scatter" : "Table",
    ),
  );
  const list = el("div", { class: "tabs", role: "tablist", "aria-label": "View" }, ...tabs);
  list.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
    const other = chosen.show.value === "scatter" ? 1 : 0;
    state.set({ show: names[other] as string });
    tabs[other]?.focus();
    event.preventDefault();
    event.stopPropagation();
  });
  watch(life, () => {
    tabs.forEach((tab, at) => {
      const isShown = names[at] === chosen.show.value;
      setAttribute(tab, "aria-selected", String(isShown));
      setAttribute(tab, "tabindex", isShown ? 0 : -1);
    });
  });
  return list;
}

function makeBottom({ profile: { frame }, channel, life }: ProfileContext): HTMLElement {
  const status = el("span", { class: "status" });
  const message = el("span", { class: "message", role: "status" });
  const help = el(
    "span",
    { class: "help" },
    "hover a head anywhere · click selects, Shift adds, dragging marks several · t table",
  );
  watch(life, () => {
    const now = channel ? channel.status.value : "stored";
    setText(
      status,
      now === "live" ? "live kernel" : channel ? "kernel does not answer" : "saved data, no kernel",
    );
    setAttribute(status, "data-status", now);
    setText(message, frame.page.message.value);
    help.hidden = frame.page.message.value !== "";
  });
  return el("div", { class: "bottombar" }, status, message, help);
}

function listenToKeys(root: HTMLElement, { profile: state, life }: ProfileContext): void {
  const run = (event: KeyboardEvent) => {
    if (event.key !== "t" || isTyping(event)) return false;
    state.set({ show: state.chosen.show.value === "table" ? "scatter" : "table" });
    return true;
  };
  hearKeys(root, run, life);
}

function followLook(
  root: HTMLElement,
  { profile: { frame }, life }: ProfileContext,
  live: HTMLElement,
): void {
  const update = followTheme(
    () => frame.synced.theme.value,
    (dark) => {
      frame.page.dark.value = dark;
    },
    life,
  );
  watch(life, update);
  watch(life, () => {
    setAttribute(root, "data-theme", frame.page.dark.value ? "dark" : "light");
    if (!root.classList.contains("fill"))
      setStyle(root, "height", clamp(frame.synced.height.value, 300, 4000));
    setText(live, frame.page.spoken.value);
  });
  const follow = (width: number) => setAttribute(root, "data-width", width < NARROW ? "narrow" : "wide");
  if (root.clientWidth > 0) follow(root.clientWidth);
  onSize(root, life, follow);
}
