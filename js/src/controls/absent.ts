import type { Context } from "../context.js";
import { el, setText, watch } from "../dom.js";
import type { Head, Stored } from "../protocol.js";

/** Says which of the selected heads are not stored, where there is no kernel to ask. */
export function makeAbsent({ state, life }: Context): HTMLElement {
  const line = el("p", { class: "absent", role: "status", hidden: true });
  watch(life, () => {
    const { stored } = state.now.kind.value;
    const text = stored ? absence(stored, state.now.heads.value) : "";
    line.hidden = text === "";
    setText(line, text);
  });
  return line;
}

export function absence(stored: Stored, selected: readonly Head[]): string {
  const missing = selected.filter((head) => !stored.has(head));
  const names = missing.map(([layer, head]) =>
    stored.layers.includes(layer) ? `head ${head} of layer ${layer}` : `layer ${layer}`,
  );
  const [first = "", ...more] = new Set(names);
  if (!first) return "";
  const last = more.pop();
  const subject = last ? `${[first, ...more].join(", ")} and ${last} are` : `${first} is`;
  const sentence = `${subject} not stored in this ${stored.place}; run the cell to see ${last ? "them" : "it"}.`;
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
