import { signal } from "@preact/signals-core";
import { messageOf } from "../basics.js";
import type { Context } from "../context.js";
import { button, el, setAttribute, setText, watch } from "../dom.js";
import { shortHeadName } from "../headname.js";
import type { AblateRequest, Head } from "../protocol.js";

const WEIGHTED = "value_weighted";
const CAVEAT = "Weights say where this head looked, not why the model answered. ";
const HOW =
  "To switch heads off, the page needs the model: AttentionWidget(capture, model=model, tokenizer=tokenizer).";

/** What weights do not say, and two ways to come nearer to it: by what values add, and by switching the head off. */
export function makeCaveat(context: Context): HTMLElement {
  const { state, source, life } = context;
  const result = signal<{ title: string; lines: string[] } | null>(null);
  const said = el("div", { class: "effect", role: "status" });
  let asking: AbortController | null = null;

  const weighted = button({ class: "link" }, () => {
    state.set({ measure: state.now.measure.peek() === WEIGHTED ? "weights" : WEIGHTED });
  });
  const ablate = button({ class: "link" }, () => {
    if (!state.capture.runs) {
      result.value = { title: "", lines: [HOW] };
      return;
    }
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    const request: AblateRequest = {
      type: "ablate",
      kind: state.now.kind.peek().kind,
      heads: [last()],
      query: state.synced.query.peek(),
    };
    result.value = { title: "", lines: ["running the model …"] };
    source.ask(request, AbortSignal.any([life, signal])).then(
      ({ info }) => {
        if (signal.aborted) return;
        const lines: unknown = info?.lines;
        const texts = Array.isArray(lines) ? lines.map(String) : [];
        result.value = { title: texts[0] ?? "", lines: texts.slice(1) };
      },
      (error: unknown) => {
        if (!signal.aborted && !life.aborted) result.value = { title: "", lines: [messageOf(error)] };
      },
    );
  });
  const last = () => state.now.heads.peek()[state.now.heads.peek().length - 1] as Head;

  watch(life, () => {
    const { measures } = state.now.kind.value;
    const on = state.now.measure.value === WEIGHTED;
    weighted.hidden = !measures.includes(WEIGHTED);
    setText(weighted, "Value-weighted");
    setAttribute(weighted, "aria-pressed", String(on));
    const heads = state.now.heads.value;
    ablate.hidden = source.status.value === "stored";
    setText(
      ablate,
      heads.length > 1 ? `Ablate ${shortHeadName(state.now.kind.value, last())}` : "Ablate this head",
    );
  });
  watch(life, () => {
    void [state.now.kind.value, state.now.heads.value, state.synced.query.value];
    asking?.abort();
    result.value = null;
  });
  watch(life, () => {
    const shown = result.value;
    said.hidden = !shown;
    said.replaceChildren(
      ...(shown?.title ? [el("b", {}, shown.title)] : []),
      ...(shown?.lines ?? []).map((line) => el("div", {}, line)),
    );
    const rail = said.closest(".rail");
    if (rail && shown) {
      rail.scrollTop += Math.max(
        0,
        said.getBoundingClientRect().bottom - rail.getBoundingClientRect().bottom + 8,
      );
    }
  });
  return el("div", { class: "caveat" }, CAVEAT, weighted, " ", ablate, said);
}
