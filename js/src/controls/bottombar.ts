import type { Context } from "../context.js";
import { el, setAttribute, setText, watch } from "../dom.js";
import { rowSums } from "./honesty.js";

const STATUS = {
  live: "live kernel",
  stored: "saved data, no kernel",
  silent: "kernel does not answer",
  other: "kernel has another version of attnscope: restart it, run the cell again",
} as const;

/** Where the data comes from, what went wrong, and the keys. */
export function makeBottomBar({ state, source, life }: Context): HTMLElement {
  const status = el("span", { class: "status" });
  const sums = el("span", { class: "sums" });
  const message = el("span", { class: "message", role: "status" });
  const help = el(
    "span",
    { class: "help" },
    "hover a token · click to pin · ←→ layer · ↑↓ head · / find · Esc release",
  );
  watch(life, () => {
    setText(status, STATUS[source.status.value]);
    setAttribute(status, "data-status", source.status.value);
    setText(sums, rowSums(state.now.kind.value.notes)?.text ?? "");
    setText(message, state.page.message.value);
    help.hidden = state.page.message.value !== "";
  });
  return el("div", { class: "bottombar" }, status, sums, message, help);
}
