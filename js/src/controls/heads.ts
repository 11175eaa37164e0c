import type { Context } from "../context.js";
import { button, el, setAttribute, setText, watch } from "../dom.js";
import { words } from "../text.js";
import { makeAsk } from "./ask.js";
import { setOptions } from "./fields.js";
import { HeadMap } from "./headmap.js";
import { type AskedValues, headValues, pairLabel } from "./headvalues.js";
import { makeHits } from "./hits.js";
import { makeRoleLegend } from "./rolelegend.js";
import { MOST_UNASKED, weightsOf } from "./work.js";

/** The head map, what it is coloured by, and what that says. */
export function headSection(context: Context): HTMLElement[] {
  const { state, life } = context;
  const values = headValues(context);
  const menu = el("select", { "aria-label": "Heads coloured by", class: "question" });
  menu.addEventListener("change", () => state.set({ color_by: menu.value }));
  watch(life, () => {
    const { statistics } = state.now.kind.value;
    const pair = pairLabel(context);
    const options = [["role", "role"], ...statistics.map((name) => [name, words(name)])] as [
      string,
      string,
    ][];
    if (pair || statistics.length === 0)
      options.unshift(["pair", pair ? `“${pair}”` : "pin a query and a key"]);
    setOptions(menu, options);
    menu.value = values.question.value.name || "pair";
  });
  const legend = makeRoleLegend(context, values);
  const map = new HeadMap(context, values, legend.only);
  const title = el("h3", { class: "question-line" }, "Heads — coloured by ", menu);
  return [
    title,
    makeAsk(context),
    map.element,
    map.scale.element,
    makeInsist(context, values),
    makeEnlarge(context, map),
    legend.element,
    makeHits(context),
  ];
}

/** What takes long for a long text or a big model is computed when somebody asks for it, and says so meanwhile. */
function makeInsist({ state, life }: Context, values: AskedValues): HTMLElement {
  const go = button({ class: "small" }, () => values.insist());
  const hint = el("span");
  const element = el("p", { class: "hint withheld" }, hint, " ", go);
  watch(life, () => {
    void values.version.value;
    const kind = state.now.kind.value;
    const { name, label } = values.question.value;
    const isWithheld = values.withheld.value;
    const isAwaited = name !== "" && name !== "pair" && values.label !== label;
    element.hidden = !isWithheld && !(isAwaited && weightsOf(kind) > MOST_UNASKED);
    go.hidden = !isWithheld;
    const count = kind.heads.reduce((sum, one) => sum + one, 0).toLocaleString("en");
    const length = kind.queries.text.length.toLocaleString("en");
    setText(
      hint,
      isWithheld ? "Not computed yet: it needs every weight." : `computing the ${label} of ${count} heads …`,
    );
    setText(go, `colour ${count} heads of ${length} tokens by ${label}`);
  });
  return element;
}

/** Gives a map whose cells are hard to hit the room of the view beside it. */
function makeEnlarge({ state, life }: Context, map: HeadMap): HTMLElement {
  const toggle = button({ class: "small enlarge" }, () => {
    state.page.wideHeads.value = !state.page.wideHeads.value;
  });
  watch(life, () => {
    const wide = state.page.wideHeads.value;
    toggle.hidden = !map.large.value;
    toggle.textContent = wide ? "smaller map" : "larger map";
    setAttribute(toggle, "aria-pressed", String(wide));
  });
  return toggle;
}
