import { makeAxis, textAt } from "../attention/axis.js";
import type { Context } from "../context.js";
import { el, listenTo, setText, watch } from "../dom.js";
import type { KindInfo } from "../protocol.js";
import { spoken } from "../text.js";
import { findToken, sidesOf } from "./question.js";

const FORM = "Write two tokens with an arrow between them, such as it -> cat, or their positions: 8 -> 2.";

/** A question about two tokens: pins them, and the head map shows which heads link them. */
export function makeAsk({ state, life }: Context): HTMLElement {
  const field = el("input", {
    type: "text",
    "aria-label": "Which heads link two tokens? For example: it -> cat",
    placeholder: "ask: it → cat",
    autocomplete: "off",
    spellcheck: "false",
  });
  const problem = el("p", { class: "problem", role: "alert" });
  const say = (text: string) => {
    setText(problem, text);
    problem.hidden = text === "";
    field.setAttribute("aria-invalid", String(text !== ""));
  };
  const ask = () => {
    if (field.value.trim() === "") return say("");
    const kind = state.now.kind.value;
    const sides = sidesOf(field.value);
    if (!sides) return say(FORM);
    const from = findToken(kind.queries, sides[0]);
    const to = findToken(kind.keys ?? kind.queries, sides[1]);
    if ("problem" in from) return say(from.problem);
    if ("problem" in to) return say(to.problem);
    if (kind.causal && to.position > from.position) return say(hidden(kind, from.position, to.position));
    say("");
    const pins = { query: from.position, key: to.position, more_queries: [], more_keys: [] };
    state.set({ ...pins, color_by: "pair" });
  };
  const on = listenTo(field, life);
  on("keydown", (event) => {
    if (event.key === "Enter") ask();
    else if (event.key === "Escape" && field.value !== "") {
      field.value = "";
      say("");
      event.stopPropagation();
    } else return;
    event.preventDefault();
  });
  watch(life, () => {
    void state.now.kind.value;
    field.value = "";
    say("");
  });
  return el("div", { class: "ask" }, field, problem);
}

function hidden(kind: KindInfo, query: number, key: number): string {
  const axis = makeAxis(kind.queries, false);
  const [from, to] = [query, key].map((at) => spoken(textAt(axis, at)));
  return `“${from}” comes before “${to}” and cannot see it here. Ask the other way: ${to} -> ${from}.`;
}
