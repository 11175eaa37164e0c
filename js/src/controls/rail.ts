import { labelOf } from "../attention/measure.js";
import { type Context, inkOf } from "../context.js";
import { seriesOf } from "../data.js";
import { button, el, setStyle, watch } from "../dom.js";
import { css } from "../draw/palette.js";
import { shortHeadName } from "../headname.js";
import { renew } from "../renew.js";
import type { Traits } from "../state.js";
import { checkbox, select, setOptions } from "./fields.js";
import { headSection } from "./heads.js";
import { makeSearch } from "./search.js";
import { selectHead } from "./selection.js";

/** The left rail: which heads, and what of them is shown. */
export function makeRail(context: Context): { element: HTMLElement; focusSearch(): void } {
  const search = makeSearch(context);
  const element = el(
    "div",
    { class: "rail rail-heads", role: "region", "aria-label": "Heads and what is shown" },
    ...headSection(context),
    el("h3", {}, "Selected"),
    chips(context),
    el("h3", {}, "Show"),
    showPanel(context),
    search.element,
  );
  return { element, focusSearch: search.focus };
}

function chips(context: Context): HTMLElement {
  const { state, life } = context;
  const list = el("ul", { class: "chips", "aria-label": "Selected heads" });
  watch(life, () => {
    const heads = state.now.heads.value;
    const kind = state.now.kind.value;
    const series = seriesOf(kind, heads, "none");
    void state.page.dark.value;
    renew(
      list,
      heads.map(([layer, head], at) => {
        const ink = css(inkOf(context, series, at));
        const name = shortHeadName(kind, [layer, head]);
        const remove = button(
          { "aria-label": `Remove ${name}`, disabled: heads.length === 1 },
          () => {
            selectHead(state, [layer, head], true);
            list.querySelectorAll("button")[Math.max(0, at - 1)]?.focus();
          },
          "×",
        );
        const chip = el(
          "li",
          { class: "chip", "data-for": `${layer}.${head}` },
          el("i", { class: "dot" }),
          name,
          remove,
        );
        setStyle(chip, "--ink", ink);
        return chip;
      }),
    );
  });
  return list;
}

function showPanel(context: Context): HTMLElement {
  const { state, life } = context;
  const set = (patch: Partial<Traits>) => state.set(patch);
  const special = checkbox("special tokens", (on) => set({ special_tokens: on }));
  const whole = checkbox("whole words", (on) => set({ whole_words: on }));
  const slider = el("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": "Threshold" });
  const number = el("output", { class: "number" });
  slider.addEventListener("input", () => set({ threshold: Number(slider.value) }));
  const threshold = el("label", { class: "field" }, el("span", {}, "threshold"), slider, number);
  const measure = select("measure", [], (value) => set({ measure: value }));
  const scale = select(
    "colour scale",
    [
      ["linear", "linear"],
      ["log", "log"],
      ["rank", "rank"],
    ],
    (value) => set({ color_scale: value as Traits["color_scale"] }),
  );
  const aggregate = select(
    "heads",
    [
      ["none", "side by side"],
      ["mean", "mean"],
      ["max", "maximum"],
    ],
    (value) => set({ aggregate: value as Traits["aggregate"] }),
  );
  aggregate.field.setAttribute("aria-label", "Join the selected heads");
  watch(life, () => {
    const { synced, now } = state;
    special.field.checked = synced.special_tokens.value;
    whole.field.checked = synced.whole_words.value;
    slider.value = String(now.threshold.value);
    number.textContent = now.threshold.value.toFixed(2);
    setOptions(
      measure.field,
      now.kind.value.measures.map((name) => [name, labelOf(name)]),
    );
    measure.field.value = now.measure.value;
    scale.field.value = synced.color_scale.value;
    aggregate.field.value = synced.aggregate.value;
    aggregate.field.disabled = now.heads.value.length < 2;
  });
  const checks = el("div", { class: "checks" }, special.element, whole.element);
  return el("div", { class: "show" }, checks, threshold, measure.element, scale.element, aggregate.element);
}
