import { textAt } from "../attention/axis.js";
import { atEnd, clamp } from "../basics.js";
import { setOptions } from "../controls/fields.js";
import { makeTooltip } from "../controls/tooltip.js";
import { el, onSize, setAttribute, setStyle, setText, watch } from "../dom.js";
import { css } from "../draw/palette.js";
import { followRest } from "../rest.js";
import { makeColorScale } from "../scale.js";
import { Scheduler } from "../scheduler.js";
import { shown } from "../text.js";
import { followTheme } from "../theme.js";
import { hearKeys } from "../typing.js";
import { TextPane } from "../views/text-pane.js";
import { makeDetails } from "./details.js";
import { SurprisalShade } from "./shade.js";
import type { StripState } from "./state.js";
import { bits, percent, rankOf } from "./words.js";

const NARROW = 720;
/** Pixels between tokens, which strip.css sets. */
const GAP = 2;
const HELP = "hover a token · click to pin · ←→↑↓ move · n next most surprising, p back · Esc release";

/** Builds the strip in `host` and keeps it until `life` ends. */
export function mountStrip(host: HTMLElement, state: StripState, life: AbortSignal, fill = false): void {
  const root = el("div", {
    class: fill ? "attnscope strip fill" : "attnscope strip",
    role: "region",
    "aria-label": "Log-probabilities of tokens",
    "data-ready": "false",
    "data-lm-suppress-shortcuts": "true",
    "data-jp-suppress-context-menu": "true",
  });
  const scheduler = new Scheduler(life, () => root.clientWidth > 0);
  const tooltip = makeTooltip(root);
  const spoken = el("div", { class: "spoken", "aria-live": "polite" });
  const pane = new TextPane(
    { scheduler, life, palette: () => state.palette.value, gap: GAP, blank: true },
    {
      hover: (unit) => {
        state.hovered.value = unit;
      },
      pin: (unit) => state.pin(state.chosen.token.value === unit ? null : unit),
    },
    () => paint(),
  );
  let shade: SurprisalShade | null = null;
  const paint = () => {
    const strip = state.strip.value;
    const palette = state.palette.value;
    if (shade?.strip !== strip || shade.palette !== palette)
      shade = new SurprisalShade(strip, state.strips.most, palette);
    const pinned = state.chosen.token.value;
    pane.paint(
      { axis: strip.axis, flow: strip.flow, sections: NO_SECTIONS },
      {
        side: "token",
        shade,
        pinned: pinned === null ? [] : [pinned],
        paired: [],
        hovered: state.hovered.value,
        marked: null,
        wanted: "",
        spaces: true,
      },
    );
    const at = state.hovered.value;
    const box = at === null ? null : pane.box(at);
    if (at === null || !box) tooltip.hide();
    else tooltip.show(explain(state, at), box);
  };
  const go = (token: number) => {
    state.pin(token);
    pane.focus(token);
  };
  const legend = makeColorScale();
  const note = el("span", { class: "legend-note" }, "the line under a token is as thick as it is surprising");
  const middle = el(
    "div",
    { class: "middle" },
    el(
      "div",
      { class: "panel" },
      el(
        "div",
        { class: "text-view" },
        el("div", { class: "text-body" }, pane.element),
        el("div", { class: "legend" }, legend.element, note),
      ),
    ),
    makeDetails(state, life, go),
  );
  const message = el("span", { class: "help" }, HELP);
  root.prepend(makeTopBar(state, life), middle, el("div", { class: "bottombar" }, message), spoken);
  host.replaceChildren(root);

  watch(life, () => {
    void [state.strip.value, state.palette.value, state.chosen.token.value, state.hovered.value];
    scheduler.paint(paint);
  });
  watch(life, () => {
    const palette = state.palette.value;
    const scale = new SurprisalShade(state.strip.value, state.strips.most, palette);
    legend.paint(
      (at) => css(scale.color(at * state.strips.most)),
      scale.domain,
      "bits of surprisal",
      "linear",
    );
  });
  watch(life, () => {
    const at = state.chosen.token.value;
    setText(spoken, at === null ? "" : explain(state, at));
    if (at !== null) scheduler.paint(() => pane.reveal(at));
  });
  listenToKeys(root, state, life, go);
  followSize(root, life);
  followLook(root, state, life);
  const busy = () => {
    void [state.strip.value, state.palette.value, state.subject.value, state.chosen.height.value];
    return scheduler.pending.value > 0;
  };
  followRest(root, busy, life);
  atEnd(life, () => root.remove());
}

const NO_SECTIONS: never[] = [];

/** A token in a line. */
function explain(state: StripState, at: number): string {
  const strip = state.strip.value;
  const name = `“${shown(textAt(strip.axis, at))}”`;
  if (Number.isNaN(strip.logprobs[at])) return `${name}: nothing before it`;
  const surprisal = bits(strip.surprisal[at] as number, 3);
  return `${name}: ${surprisal} · ${percent(Math.exp(strip.logprobs[at] as number))} · rank ${rankOf(strip, at)}`;
}

function makeTopBar(state: StripState, life: AbortSignal): HTMLElement {
  const { strips } = state.strips;
  const name = el("b");
  const about = el("span", { class: "about" });
  const field = el("select", { "aria-label": "Text", class: "kinds", hidden: strips.length < 2 });
  setOptions(
    field,
    strips.map((_, at) => [String(at), `text ${at + 1} of ${strips.length}`]),
  );
  field.addEventListener("change", () => state.show(Number(field.value)));
  watch(life, () => {
    const strip = state.strip.value;
    name.hidden = strip.model === "";
    setText(name, strip.model);
    setText(about, strip.summary);
    field.value = String(state.chosen.choice.value);
  });
  return el("div", { class: "topbar" }, el("div", { class: "title" }, name, field, about));
}

/** `n` walks down the list of surprises from the token the page speaks of, `p` back up. */
function listenToKeys(
  root: HTMLElement,
  state: StripState,
  life: AbortSignal,
  go: (token: number) => void,
): void {
  const step = (by: 1 | -1) => {
    const { order } = state.strip.value;
    const now = state.chosen.token.value;
    const at = now === null ? -1 : order.indexOf(now);
    const next = order[at < 0 ? 0 : clamp(at + by, 0, order.length - 1)];
    if (next !== undefined) go(next);
  };
  const run = (event: KeyboardEvent): boolean => {
    if (event.key === "Escape") {
      if (state.chosen.token.value === null && state.hovered.value === null) return false;
      state.hovered.value = null;
      state.pin(null);
      return true;
    }
    if (event.composedPath()[0] instanceof HTMLSelectElement) return false;
    if (event.key === "n") step(1);
    else if (event.key === "p") step(-1);
    else return false;
    return true;
  };
  hearKeys(root, run, life);
}

function followSize(root: HTMLElement, life: AbortSignal): void {
  const follow = (width: number) =>
    setAttribute(root, "data-width", width < NARROW ? (width < 520 ? "slim" : "narrow") : "wide");
  if (root.clientWidth > 0) follow(root.clientWidth);
  onSize(root, life, follow);
}

function followLook(root: HTMLElement, state: StripState, life: AbortSignal): void {
  const update = followTheme(
    () => state.chosen.theme.value,
    (dark) => {
      state.dark.value = dark;
    },
    life,
  );
  watch(life, update);
  watch(life, () => {
    setAttribute(root, "data-theme", state.dark.value ? "dark" : "light");
    if (!root.classList.contains("fill"))
      setStyle(root, "height", clamp(state.chosen.height.value, 200, 4000));
  });
}
