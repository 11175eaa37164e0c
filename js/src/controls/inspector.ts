import { type Axis, textAt } from "../attention/axis.js";
import { formOf } from "../attention/measure.js";
import { topPositions } from "../attention/strength.js";
import { range } from "../basics.js";
import { type Context, colorOf, inkOf } from "../context.js";
import type { Series } from "../data.js";
import { el, setStyle, watch } from "../dom.js";
import { css } from "../draw/palette.js";
import { renew } from "../renew.js";
import { fixed, pieces } from "../text.js";
import { rowStrengths } from "../views/lines.js";
import { makeCaveat } from "./caveat.js";
import { headHabits } from "./chips.js";
import { makeFindings } from "./findings.js";
import { honesty } from "./honesty.js";
import { type Subject, subjectOf, summary, valuesOf } from "./subject.js";

const SETTLE_MS = 40;

/** The right rail: exact numbers for the token in question. */
export function makeInspector(context: Context): HTMLElement {
  const { state, data, life, scheduler } = context;
  const body = el("div", { class: "inspector-body" });
  const habits = headHabits(context);
  const strip = honesty(context, habits);
  const { chips } = habits;
  const later = scheduler.settle(SETTLE_MS);
  let announced = "";

  const paint = () => {
    if (life.aborted) return;
    const subject = subjectOf(context);
    const all = data.series;
    const order = all.map((_, at) => all.length - 1 - at);
    const sections = order.map((at) => section(context, all, at, subject, chips));
    renew(body, [...heading(context, subject), ...pair(context, subject), ...sections]);
    announced = announce(context, subject, announced);
  };
  const request = () => {
    const subject = subjectOf(context);
    data.need("inspector", subject?.side === "query" ? subject.units : []);
    data.needColumns("inspector key", subject?.side === "key" ? subject.units : []);
  };
  watch(life, () => {
    state.follow();
    void data.version.value;
    for (const one of data.series) for (const head of one.heads) chips(head);
    const subject = subjectOf(context);
    if (subject) later(request);
    scheduler.paint(paint);
  });
  return el(
    "div",
    { class: "rail rail-details", role: "region", "aria-label": "Inspector", tabindex: 0 },
    body,
    makeCaveat(context),
    makeFindings(context),
    strip,
  );
}

function tokenText(text: string): HTMLElement {
  const node = el("bdi", {});
  for (const piece of pieces(text)) node.append(piece.sign ? el("i", {}, piece.text) : piece.text);
  return node;
}

function heading({ state }: Context, subject: Subject | null): HTMLElement[] {
  if (!subject) {
    const help = "Hover a token to see what it attends to; click to pin it.";
    return [el("h3", {}, "Selected heads"), el("p", { class: "hint" }, help)];
  }
  const axis = (subject.side === "query" ? state.now.queries : state.now.keys).value;
  const unit = axis.units[subject.unit];
  const several = subject.units.length;
  if (several > 1) return groupHeading(subject, axis);
  const place =
    unit && unit.to - unit.from > 1 ? `positions ${unit.from}–${unit.to - 1}` : `position ${unit?.from}`;
  return [
    el("h3", {}, `${subject.pinned ? "Pinned" : "Hovered"} ${subject.side}`),
    el("p", { class: "subject" }, el("b", {}, tokenText(unit?.text ?? "")), " ", el("small", {}, place)),
  ];
}

/** Several tokens pinned together, and how their numbers are joined. */
function groupHeading({ side, units }: Subject, axis: Axis): HTMLElement[] {
  const names = units.flatMap((unit, at) => [...(at > 0 ? [" + "] : []), tokenText(textAt(axis, unit))]);
  const [title, how] =
    side === "query"
      ? [`${units.length} pinned queries`, "mean over these queries"]
      : [`${units.length} pinned keys`, "sum over these keys"];
  return [
    el("h3", {}, title),
    el("p", { class: "subject" }, el("b", {}, ...names), " ", el("small", {}, how)),
  ];
}

/** With both sides in question, the one number between them stands first. */
function pair(context: Context, subject: Subject | null): HTMLElement[] {
  if (subject?.side !== "query" || subject.other === null) return [];
  const { state, data } = context;
  const query = state.now.activeQuery.value ?? subject.unit;
  const other = state.now.activeKey.value ?? subject.other;
  const all = data.series;
  const from = textAt(state.now.queries.value, query);
  const to = textAt(state.now.keys.value, other);
  const numbers = all.map((series, at) => {
    const value = data.row(series, query)?.values[other];
    const line = el("div", { class: "pair-value" }, el("span", {}, series.short), number(value));
    setStyle(line, "--ink", css(inkOf(context, all, at)));
    return line;
  });
  return [
    el("div", { class: "pair" }, el("div", {}, tokenText(from), " → ", tokenText(to)), ...numbers.reverse()),
  ];
}

function number(value: number | undefined): HTMLElement {
  if (value === undefined) return el("span", { class: "number" }, "…");
  return el("span", { class: "number", "data-weight": String(value) }, fixed(value));
}

function section(
  context: Context,
  all: readonly Series[],
  at: number,
  subject: Subject | null,
  chips: (head: Series["heads"][number]) => string[],
): HTMLElement {
  const series = all[at] as Series;
  const node = el("section", { class: "head-section" }, el("h4", {}, series.name));
  setStyle(node, "--ink", css(inkOf(context, all, at)));
  setStyle(node, "--fill", css(colorOf(context, all, at)));
  const [head] = series.heads;
  const habits = series.heads.length === 1 && head ? chips(head) : [];
  if (habits.length > 0)
    node.append(
      el("div", { class: "habits" }, ...habits.map((text) => el("span", { class: "habit" }, text))),
    );
  const { stored } = context.state.now.kind.value;
  if (stored && !series.heads.every((one) => stored.has(one)))
    node.append(el("p", { class: "hint" }, `not stored in this ${stored.place}`));
  else if (subject) node.append(ranking(context, series, subject, all.length === 1 ? 8 : 4));
  return node;
}

function ranking(context: Context, series: Series, subject: Subject, count: number): HTMLElement {
  const { state } = context;
  const signed = formOf(state.now.measure.value) === "signed";
  const values = valuesOf(context, series, subject);
  const axis = (subject.side === "query" ? state.now.keys : state.now.queries).value;
  if (!values && subject.side === "key" && context.data.withheld(subject.units))
    return el("p", { class: "hint" }, "Click to pin it: every row has to be looked at for this.");
  if (!values) return waiting(Math.min(count, axis.units.length));
  const top = topPositions(signed ? values.map(Math.abs) : values, count);
  if (top.length === 0) return el("p", { class: "hint" }, "Nothing to attend to here.");
  const strengths = rowStrengths(values, state.now.measure.value, "linear");
  const list = el("ol", { class: "ranking" });
  for (const at of top) {
    const fill = el("i", { class: signed && (values[at] as number) < 0 ? "against" : undefined });
    setStyle(fill, "width", `${(100 * (strengths[at] as number)).toFixed(1)}%`);
    const text = el("span", { class: "ranking-token" }, tokenText(textAt(axis, at)));
    list.append(
      el("li", {}, text, el("span", { class: "bar", "aria-hidden": "true" }, fill), number(values[at])),
    );
  }
  return list;
}

/** As tall as what is to come, so that nothing below it moves. */
function waiting(count: number): HTMLElement {
  const lines = range(0, count).map((at) => el("li", {}, at === 0 ? "not here yet" : ""));
  return el("ol", { class: "ranking waiting" }, ...lines);
}

function announce(context: Context, subject: Subject | null, before: string): string {
  if (!subject?.pinned) return "";
  const { synced } = context.state;
  const name = `${subject.side}|${subject.units}|${synced.key.value}|${JSON.stringify(context.state.now.heads.value)}`;
  if (name === before) return before;
  const text = summary(context, {
    ...subject,
    other: subject.side === "query" ? context.state.now.key.value : null,
  });
  if (text === null) return before;
  context.state.page.spoken.value = text;
  return name;
}
