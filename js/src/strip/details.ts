import { textAt } from "../attention/axis.js";
import { button, el, setAttribute, setStyle, setText, watch } from "../dom.js";
import { css, rampAt } from "../draw/palette.js";
import { fixed, shown } from "../text.js";
import type { StripState } from "./state.js";
import { bits, percent, rankOf } from "./words.js";

/** Most tokens of the list of the most surprising. */
const MOST = 100;

/** What could have stood in a token's place, and the most surprising tokens. */
export function makeDetails(state: StripState, life: AbortSignal, go: (token: number) => void): HTMLElement {
  const about = el("section", { "aria-label": "Token" });
  const list = el("ol", { class: "surprising" });
  watch(life, () => {
    about.replaceChildren(...describe(state));
  });
  watch(life, () => {
    const strip = state.strip.value;
    const most = state.strips.most;
    const palette = state.palette.value;
    const rows = strip.order.slice(0, MOST).map((at) => {
      const surprisal = strip.surprisal[at] as number;
      const bar = el("i");
      setStyle(bar, "width", `${(100 * Math.min(1, surprisal / most)).toFixed(1)}%`);
      setStyle(bar, "--fill", css(rampAt(palette.ramp, 0.7)));
      const name = el("span", { class: "ranking-token", dir: "auto" }, shown(textAt(strip.axis, at)));
      const said = surprisal === Number.POSITIVE_INFINITY ? "–" : bits(surprisal);
      const number = el("span", { class: "number", "data-surprisal": surprisal }, said);
      const row = button(
        {
          "data-token": at,
          "aria-label": `${shown(textAt(strip.axis, at))}, token ${at}: ${bits(surprisal)}`,
        },
        () => go(at),
        name,
        el("span", { class: "bar" }, bar),
        number,
      );
      return el("li", {}, row);
    });
    list.replaceChildren(...rows);
  });
  watch(life, () => {
    const pinned = state.chosen.token.value;
    void state.strip.value;
    for (const row of list.querySelectorAll<HTMLElement>("[data-token]"))
      setAttribute(row, "aria-current", Number(row.dataset.token) === pinned ? "true" : undefined);
  });
  return el(
    "div",
    { class: "rail rail-strip", role: "region", "aria-label": "Details", tabindex: 0 },
    about,
    el("section", { "aria-label": "Most surprising" }, el("h3", {}, "Most surprising"), list),
  );
}

function describe(state: StripState): Node[] {
  const at = state.subject.value;
  const strip = state.strip.value;
  if (at === null || at >= strip.logprobs.length) {
    return [
      el(
        "p",
        { class: "hint" },
        "Point at a token to see what else could have stood there; click to pin it.",
      ),
    ];
  }
  const [logprob, surprisal] = [strip.logprobs[at] as number, strip.surprisal[at] as number];
  const title = el(
    "p",
    { class: "subject" },
    el("b", { dir: "auto" }, shown(textAt(strip.axis, at))),
    el("small", {}, ` token ${at}`),
  );
  const facts: [string, string, string, number][] = [
    ["surprisal", bits(surprisal, 3), "data-surprisal", surprisal],
    [
      "log-probability",
      Number.isFinite(logprob) ? `${fixed(logprob, 3)} nats` : "–",
      "data-logprob",
      logprob,
    ],
    ["probability", percent(Math.exp(logprob)), "data-probability", Math.exp(logprob)],
    ["rank", rankOf(strip, at), "data-rank", strip.ranks[at] as number],
  ];
  const entropy = strip.entropies[at] as number;
  if (!Number.isNaN(entropy))
    facts.push([
      "entropy here",
      `${strip.exact ? "" : "at least "}${fixed(entropy, 2)} bits`,
      "data-entropy",
      entropy,
    ]);
  const table = el("dl", { class: "facts" });
  for (const [name, text, attribute, value] of Number.isNaN(logprob) ? [] : facts)
    table.append(el("div", {}, el("dt", {}, name), el("dd", { [attribute]: value }, text)));
  const nothing = Number.isNaN(logprob)
    ? [el("p", { class: "hint" }, "No log-probability: nothing stands before it.")]
    : [];
  return [title, ...nothing, table, ...alternatives(state, at)];
}

/** The likeliest tokens, the token itself where it is not among them, and what is left. */
function alternatives(state: StripState, at: number): Node[] {
  const strip = state.strip.value;
  const listed = strip.alternatives[at] ?? [];
  if (listed.length === 0) return [];
  const mine = textAt(strip.axis, at);
  const logprob = strip.logprobs[at] as number;
  const found = listed.findIndex((each) => each.token === mine && each.logprob === logprob);
  const rows = listed.map(({ token, logprob }, index) =>
    row(state, token, Math.exp(logprob), index === found),
  );
  let rest = 1 - listed.reduce((sum, each) => sum + Math.exp(each.logprob), 0);
  if (found < 0) {
    rest -= Math.exp(logprob);
    rows.push(row(state, mine, Math.exp(logprob), true));
  }
  const left = rest > 0.0005 ? [el("p", { class: "caveat" }, `everything else: ${percent(rest)}`)] : [];
  return [
    el("h3", {}, "What could stand here"),
    el("ol", { class: "ranking", "aria-label": "What could stand here" }, ...rows),
    ...left,
  ];
}

function row(state: StripState, token: string, probability: number, chosen: boolean): HTMLElement {
  const bar = el("i");
  setStyle(bar, "width", `${(100 * Math.min(1, probability)).toFixed(1)}%`);
  setStyle(bar, "--fill", css(rampAt(state.palette.value.ramp, 0.7)));
  const number = el("span", { class: "number", "data-weight": probability });
  setText(number, percent(probability));
  const name = el("span", { class: "ranking-token", dir: "auto" }, shown(token));
  const item = el("li", { class: chosen ? "chosen" : "" }, name, el("span", { class: "bar" }, bar), number);
  if (chosen) item.append(el("span", { class: "spoken" }, "this token"));
  return item;
}
