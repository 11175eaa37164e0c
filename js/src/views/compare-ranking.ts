import { signal } from "@preact/signals-core";
import type { Context } from "../context.js";
import { selectHead } from "../controls/selection.js";
import { button, el, listenTo, setAttribute, watch } from "../dom.js";
import type { Head } from "../protocol.js";
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
    if (!kind.statistics.includes(CHANGE)) return;
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
  const mark = () => {
    const heads = state.now.heads.value;
    for (const node of list.querySelectorAll<HTMLElement>("[data-at]")) {
      const head = found.peek()[Number(node.dataset.at)]?.head;
      setAttribute(
        node,
        "aria-pressed",
        String(head !== undefined && heads.some((one) => sameHead(one, head))),
      );
    }
  };
  watch(life, () => {
    const all = found.value;
    const shown = all
      .slice(0, MOST)
      .map(({ head, change }, at) =>
        button(
          { class: "small", "data-at": at, tabindex: at === 0 ? 0 : -1 },
          () => selectHead(state, head, false),
          `L${head[0]} H${head[1]} `,
          el("span", { class: "number", "data-weight": change }, fixed(change)),
        ),
      );
    const rest = all.length > MOST ? [el("span", { class: "hint" }, `${MOST} of ${all.length} shown`)] : [];
    list.replaceChildren(el("span", { class: "hint" }, "most changed"), ...shown, ...rest);
    mark();
  });
  watch(life, mark);
  listenTo(list, life)("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const nodes = [...list.querySelectorAll<HTMLElement>("[data-at]")];
    const next = by && nodes[nodes.indexOf(event.target as HTMLElement) + by];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (!next) return;
    for (const node of nodes) setAttribute(node, "tabindex", node === next ? 0 : -1);
    next.focus();
  });
  return list;
}
