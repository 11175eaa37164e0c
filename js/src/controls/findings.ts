import type { Context } from "../context.js";
import { button, el, listenTo, setAttribute, setText, watch } from "../dom.js";
import type { Head, HeadsRequest, KindInfo, Reply } from "../protocol.js";
import { isObject } from "../protocol-check.js";
import { renew } from "../renew.js";
import { Asked } from "../views/asked.js";
import { MOST_UNASKED, weightsOf } from "./work.js";

const MOST_SELECTED = 8;
const SIGNS: Record<string, string> = { error: "✕", warning: "!", info: "i" };

interface Finding {
  severity: string;
  message: string;
  heads: Head[];
}

/** What is wrong with the capture, or good to know, in a list that folds; a finding selects its heads. */
export function makeFindings(context: Context): HTMLElement {
  const { state, life } = context;
  const asked = new Asked<HeadsRequest>(context);
  const title = el("summary", {});
  const list = el("ul", { class: "findings" });
  const element = el("details", { class: "findings-fold" }, title, list);
  const ask = () => {
    const kind = state.now.kind.value;
    const wanted = element.open || weightsOf(kind) <= MOST_UNASKED;
    asked.ask(wanted ? { type: "findings", kind: kind.kind } : null);
  };
  const on = listenTo(element, life);
  on("toggle", ask);
  watch(life, ask);
  watch(life, () => {
    const answer = asked.answer.value;
    const kind = state.now.kind.value;
    const fitting = answer?.request.kind === kind.kind ? answer.reply : null;
    const findings = fitting ? readFindings(kind, fitting) : [];
    const [grave] = findings;
    setText(title, fitting ? titleOf(findings) : "Findings");
    setAttribute(element, "data-severity", grave?.severity);
    if (!fitting) renew(list, [el("li", { class: "hint" }, "looking …")]);
    else if (findings.length === 0)
      renew(list, [el("li", { class: "hint" }, "Nothing is wrong that can be seen from here.")]);
    else
      renew(
        list,
        findings.map((finding) => item(context, finding)),
      );
  });
  return element;
}

function titleOf(findings: readonly Finding[]): string {
  if (findings.length === 0) return "No findings";
  const worse = findings.filter(({ severity }) => severity !== "info").length;
  const count = `${findings.length} finding${findings.length === 1 ? "" : "s"}`;
  return worse > 0 ? `${count}, ${worse} to look at` : count;
}

function readFindings(kind: KindInfo, { data, info, shape }: Reply): Finding[] {
  const [, layers = 0, most = 0] = shape;
  const entries = Array.isArray(info?.findings) ? info.findings : [];
  return entries.filter(isObject).map((entry, at) => {
    const heads: Head[] = [];
    kind.layers.forEach((layer, row) => {
      for (let head = 0; head < (kind.heads[row] ?? 0); head++) {
        if (data[(at * layers + row) * most + head] === 1) heads.push([layer, head]);
      }
    });
    return { severity: String(entry.severity), message: String(entry.message), heads };
  });
}

function item({ state }: Context, { severity, message, heads }: Finding): HTMLElement {
  const sign = el("i", { class: "sign", "aria-hidden": "true" }, SIGNS[severity] ?? "i");
  const line = el(
    "li",
    { "data-severity": severity, "data-for": `${message}|${heads.join(" ")}` },
    sign,
    el("span", {}, `${severity}: ${message}`),
  );
  if (heads.length === 0) return line;
  const few = heads.slice(0, MOST_SELECTED);
  const which = few.length < heads.length ? `the first ${few.length} of ${heads.length}` : `${few.length}`;
  line.append(
    button(
      { class: "small" },
      () => state.set({ heads: few }),
      `select ${which} head${heads.length === 1 ? "" : "s"}`,
    ),
  );
  return line;
}
