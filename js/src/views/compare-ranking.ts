import { signal } from "@preact/signals-core";
import type { Context } from "../context.js";
import { selectHead } from "../controls/selection.js";
import { MOST_COLORED, weightsOf } from "../controls/work.js";
import { button, el, listenTo, setAttribute, watch } from "../dom.js";
import { shortHeadName } from "../headname.js";
import type { Head } from "../protocol.js";
import { renew } from "../renew.js";
import { sameHead } from "../state.js";
import { fixed } from "../text.js";

const MOST = 40;
const CHANGE = "change";

/** Heads by how much they differ between the captures, the most changed first. */
export function makeRanking(context: Context): HTMLElement {
  const { state, source, life } = context;
  const list = el("div", { class: "ranking-strip", role: "toolbar", "aria-label": "Heads by change" });
  const found = signal<{ head: Head; change: number }[]>([]);
  watch(life, () => {
    const kind = state.now.kind.value;
    found.value = [];
    list.hidden = !kind.statistics.includes(CHANGE) || weightsOf(kind) > MOST_COLORED;
    if (list.hidden) return;
    source.statistic(kind.kind, CHANGE, life).then(
      ({ data, shape }) => {
        if (state.now.kind.peek() !== kind) return;
        const wide = shape[1] ?? 1;
        const heads = Array.from(data, (change, at) => ({
          head: [kind.layers[Math.floor(at / wide)] as number, at % wide] as Head,
          change,
        }));
        found.value = heads.filter(({ change }) => !Number.isNaN(change)).sort((a, b) => b.change - a.change);
      },
      () => {},
    );
  });
  let entry = "";
  watch(life, () => {
    const all = found.value;
    const heads = state.now.heads.value;
    const names = all.slice(0, MOST).map(({ head }) => head.join("."));
    if (!names.includes(entry)) entry = names[0] ?? "";
    const shown = all.slice(0, MOST).map(({ head, change }, at) =>
      button(
        {
          class: "small",
          "data-for": names[at],
          tabindex: names[at] === entry ? 0 : -1,
          "aria-pressed": String(heads.some((one) => sameHead(one, head))),
        },
        () => selectHead(state, head, false),
        `${shortHeadName(state.now.kind.value, head)} `,
        el("span", { class: "number", "data-weight": change }, fixed(change)),
      ),
    );
    const rest = all.length > MOST ? [el("span", { class: "hint" }, `${MOST} of ${all.length} shown`)] : [];
    renew(list, [el("span", { class: "hint" }, "most changed"), ...shown, ...rest]);
  });
  listenTo(list, life)("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const nodes = [...list.querySelectorAll<HTMLElement>("[data-for]")];
    const next = by && nodes[nodes.indexOf(event.target as HTMLElement) + by];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (!next) return;
    entry = next.dataset.for ?? "";
    for (const node of nodes) setAttribute(node, "tabindex", node === next ? 0 : -1);
    next.focus();
  });
  return list;
}
