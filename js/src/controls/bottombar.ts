import type { Context } from "../context.js";
import { button, el, setAttribute, setText, watch } from "../dom.js";
import { rowSums } from "./honesty.js";

const STATUS = {
  live: "live kernel",
  stored: "saved data, no kernel",
  silent: "kernel does not answer",
  other: "kernel has another version of attnscope: restart it, run the cell again",
} as const;

/** Where the data comes from, what went wrong, and the keys. */
export function makeBottomBar({ state, source, life }: Context, stop: () => void): HTMLElement {
  const status = el("span", { class: "status" });
  const sums = el("span", { class: "sums" });
  const message = el("span", { class: "message", role: "status" });
  const help = el(
    "span",
    { class: "help" },
    "hover a token · click to pin · ←→ layer · ↑↓ head · / find · t table · Esc release",
  );
  const bar = el("progress", { "aria-label": "Progress" });
  const done = el("span");
  const stopper = button({}, stop, "Stop");
  const working = el("span", { class: "progress" }, bar, done, stopper);
  watch(life, () => {
    const busy = source.status.value === "silent" && state.page.progress.value !== null;
    const stored = state.now.kind.value.stored?.text;
    const said = stored ? `${STATUS[source.status.value]} · ${stored}` : STATUS[source.status.value];
    setText(status, busy ? "kernel at work: interrupt it to stop" : said);
    stopper.hidden = busy;
    setAttribute(status, "data-status", busy ? "live" : source.status.value);
    setText(sums, rowSums(state.now.kind.value.notes)?.text ?? "");
    setText(message, state.page.message.value);
    help.hidden = state.page.message.value !== "";
  });
  watch(life, () => {
    const progress = state.page.progress.value;
    working.hidden = progress === null;
    if (!progress) return;
    setAttribute(bar, "max", progress.total ?? 1);
    setAttribute(bar, "value", progress.total === null ? undefined : progress.done);
    const total = progress.total === null ? "" : ` of ${progress.total}`;
    setText(done, `${progress.done}${total} ${progress.label}`);
  });
  return el("div", { class: "bottombar" }, status, sums, working, message, help);
}
