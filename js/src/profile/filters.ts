import { select, setOptions } from "../controls/fields.js";
import { inOrder, roleLabel } from "../controls/roles.js";
import { button, el, listenTo, setText, watch } from "../dom.js";
import { renew } from "../renew.js";
import type { ProfileContext } from "./context.js";
import { headAt } from "./data.js";
import type { Ends } from "./state.js";

/** Which heads are asked for: by statistics, layers and role; and what a mean is over. */
export function makeFilters({ profile: state, life }: ProfileContext): HTMLElement {
  const { profile, chosen } = state;
  const total = profile.heads.reduce((sum, one) => sum + one, 0);
  const means = select(
    "mean over",
    [
      ["rows", "queries"],
      ["texts", "texts"],
    ],
    (value) => state.set({ by: value }),
  );
  const roles = select("role", [], (role) => state.set({ role }));
  const [first, last] = ["First", "Last"].map((which) =>
    el("input", {
      type: "number",
      step: 1,
      "aria-label": `${which} layer`,
      placeholder: which.toLowerCase(),
    }),
  ) as [HTMLInputElement, HTMLInputElement];
  const [least, most] = [Math.min(...profile.layers), Math.max(...profile.layers)];
  const layers = () => {
    const ends = [first, last].map(({ value }) =>
      value === "" ? null : Math.max(0, Math.round(Number(value))),
    );
    const all = ends.every((end) => end === null);
    state.set({ layer_range: all ? null : [ends[0] ?? least, ends[1] ?? most] });
  };
  for (const field of [first, last]) field.addEventListener("change", layers);
  const rows = el("div", { class: "ranges" });
  const adder = el("select", { "aria-label": "Show heads by" });
  adder.addEventListener("change", () => {
    if (adder.value) state.set({ ranges: { ...chosen.ranges.value, [adder.value]: [null, null] } });
    rows.querySelector<HTMLInputElement>(`[data-for="${adder.value}"] input`)?.focus();
    adder.value = "";
  });
  const count = el("span", { class: "count number", role: "status" });
  const all = button(
    { class: "small" },
    () => {
      const heads = state.places.value.map((at) => headAt(profile, at)).filter((head) => head !== null);
      if (heads.length > 0) state.set({ heads });
    },
    "select these",
  );
  const clear = button(
    { class: "small" },
    () => {
      state.set({ ranges: {}, layer_range: null, role: "" });
      adder.focus();
    },
    "show all",
  );
  const rangeRow = (name: string, [from, to]: Ends) => {
    const label = state.label(name);
    const field = (side: 0 | 1, value: number | null) => {
      const title = `${label}, ${side === 0 ? "from" : "to"}`;
      const node = el("input", {
        type: "number",
        step: "any",
        "aria-label": title,
        placeholder: side === 0 ? "from" : "to",
        "data-for": `${name}.${side}`,
        "data-value": value ?? "",
      });
      node.addEventListener("change", () => {
        const typed = node.value === "" ? null : Number(node.value);
        const ends: Ends = [...(chosen.ranges.value[name] ?? [null, null])] as Ends;
        ends[side] = typed !== null && Number.isFinite(typed) ? typed : null;
        state.set({ ranges: { ...chosen.ranges.value, [name]: ends } });
      });
      return node;
    };
    const remove = button(
      { "aria-label": `Remove ${label}`, "data-for": "remove" },
      () => {
        const { [name]: _gone, ...left } = chosen.ranges.value;
        state.set({ ranges: left });
        adder.focus();
      },
      "×",
    );
    return el("span", { class: "range", "data-for": name }, label, field(0, from), "–", field(1, to), remove);
  };
  watch(life, () => {
    means.field.value = chosen.by.value;
    setOptions(roles.field, [
      ["", "any"],
      ...inOrder(profile.roles).map((role) => [role, roleLabel(role)] as const),
    ]);
    roles.field.value = chosen.role.value;
    const ends = chosen.layer_range.value;
    [first.value, last.value] = ends ? [String(ends[0]), String(ends[1])] : ["", ""];
  });
  watch(life, () => {
    const ranges = chosen.ranges.value;
    const free = profile.statistics.filter(({ name }) => !(name in ranges));
    setOptions(adder, [["", "+ statistic …"], ...free.map(({ name, label }) => [name, label] as const)]);
    renew(
      rows,
      Object.entries(ranges).map(([name, ends]) => rangeRow(name, ends)),
    );
    for (const field of rows.querySelectorAll("input")) field.value = field.dataset.value ?? "";
  });
  watch(life, () => {
    const shown = state.places.value.length;
    setText(count, shown === total ? `${total} heads` : `${shown} of ${total} heads`);
    all.hidden = clear.hidden = shown === total && Object.keys(chosen.ranges.value).length === 0;
    all.disabled = shown === 0;
  });
  const element = el(
    "div",
    { class: "filters", role: "group", "aria-label": "Which heads are shown" },
    el("label", { class: "field" }, el("span", {}, "show by"), adder),
    rows,
    el("span", { class: "field layers" }, el("span", {}, "layers"), first, "–", last),
    roles.element,
    means.element,
    el("span", { class: "found" }, count, all, clear),
  );
  // Enter in a field is no shortcut of the page.
  listenTo(element, life)("keydown", (event) => event.stopPropagation());
  return element;
}
