import type { Context } from "../context.js";
import { el, watch } from "../dom.js";
import { shortHeadName } from "../headname.js";
import type { Head, Notes } from "../protocol.js";
import { renew } from "../renew.js";
import type { Habits } from "./chips.js";

const CLOSE = 1e-3;

/** What a number is at most, in one digit or two places. */
export function atMost(value: number): string {
  if (value >= 0.01) return (Math.ceil(value * 100 - 1e-9) / 100).toFixed(2);
  if (value <= 0) return "0";
  const unit = 10 ** Math.floor(Math.log10(value));
  return (Math.ceil(value / unit - 1e-9) * unit).toExponential(0);
}

export function rowSums({ row_sums: sums }: Notes): { text: string; whole: boolean } | null {
  if (!sums) return null;
  const [least, most] = sums;
  const whole = Math.abs(least - 1) < CLOSE && Math.abs(most - 1) < CLOSE;
  return { text: whole ? "rows sum to 1 ✓" : `rows sum to ${least.toFixed(2)}–${most.toFixed(2)}`, whole };
}

/** How far the numbers can be trusted. */
export function honesty({ state, life }: Context, habits: Habits): HTMLElement {
  const list = el("dl", { class: "honesty", "aria-label": "How far the numbers can be trusted" });
  watch(life, () => {
    const { notes, keys, layers } = state.now.kind.value;
    const heads = state.now.heads.value;
    const head = heads[heads.length - 1] as Head;
    const facts: [string, string][] = [];
    const sums = rowSums(notes);
    if (sums) facts.push(["row sums", sums.whole ? "1 ✓" : sums.text.replace("rows sum to ", "")]);
    const sink = habits.sinkShare(head);
    if (sink !== undefined && !Number.isNaN(sink)) {
      facts.push([
        `${shortHeadName(state.now.kind.value, head)} on the first ${keys ? "key" : "token"}`,
        share(sink),
      ]);
    }
    if (notes.masked !== null) facts.push(["masked", share(notes.masked)]);
    facts.push(["rows that see no key", notes.blind === 0 ? "none" : `${notes.blind}, left out`]);
    if (notes.dtype) facts.push(["computed in", notes.dtype]);
    if (notes.kept) facts.push([`kept in ${notes.kept.dtype}`, `weights ± ${atMost(notes.kept.error)}`]);
    if (notes.check !== null) facts.push(["off the model’s own", `≤ ${atMost(notes.check)}`]);
    const { unchecked } = notes;
    const all = unchecked.length === layers.length;
    if (unchecked.length > 0)
      facts.push(["not checked", all ? "every layer" : `layers ${shortened(unchecked)}`]);
    else facts.push(["checked", `${layers.length} of ${layers.length} layers`]);
    if (notes.error) facts.push(["stored to within", atMost(notes.error)]);
    renew(
      list,
      facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
    );
  });
  return list;
}

const share = (value: number) => `${(100 * value).toFixed(0)} %`;

const shortened = (numbers: readonly number[]) =>
  numbers.slice(0, 4).join(", ") + (numbers.length > 4 ? " …" : "");
