import type { Context } from "../context.js";
import { el, watch } from "../dom.js";
import type { Notes } from "../protocol.js";

const CLOSE = 1e-3;
const number = (value: number) =>
  value === 0 ? "0" : Math.abs(value) < 0.01 ? value.toExponential(0) : value.toFixed(2);

export function rowSums({ row_sums: sums }: Notes): { text: string; whole: boolean } | null {
  if (!sums) return null;
  const [least, most] = sums;
  const whole = Math.abs(least - 1) < CLOSE && Math.abs(most - 1) < CLOSE;
  return { text: whole ? "rows sum to 1 ✓" : `rows sum to ${least.toFixed(2)}–${most.toFixed(2)}`, whole };
}

/** How far the numbers can be trusted. */
export function honesty({ state, life }: Context): HTMLElement {
  const list = el("dl", { class: "honesty", "aria-label": "How far the numbers can be trusted" });
  watch(life, () => {
    const { notes } = state.now.kind.value;
    const facts: [string, string][] = [];
    const sums = rowSums(notes);
    if (sums) facts.push(["row sums", sums.whole ? "1 ✓" : sums.text.replace("rows sum to ", "")]);
    if (notes.dtype) facts.push(["computed in", notes.dtype]);
    if (notes.masked !== null) facts.push(["masked", `${(100 * notes.masked).toFixed(0)} %`]);
    if (notes.check !== null) facts.push(["off the model’s own", `≤ ${number(notes.check)}`]);
    if (notes.error) facts.push(["stored to within", number(notes.error)]);
    list.replaceChildren(
      ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    );
    list.hidden = facts.length === 0;
  });
  return list;
}
