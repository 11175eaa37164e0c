import { untracked } from "@preact/signals-core";
import type { Context } from "./context.js";
import { watch } from "./dom.js";
import type { KindInfo } from "./protocol.js";
import { readTokens } from "./protocol-check.js";

const SIDES = ["queries", "keys"] as const;

/** Asks for the rest of a long text: once the first view is painted, or at once for a view of the text itself. */
export function fetchTokens({ state, source, life }: Context, painted: () => boolean): void {
  const asked = new Set<string>();
  const ask = (kind: KindInfo, side: (typeof SIDES)[number]) => {
    const name = `${kind.kind}|${side}`;
    if (!kind[side]?.partial || asked.has(name)) return;
    asked.add(name);
    source.ask({ type: "tokens", kind: kind.kind, side }, life).then(
      ({ info }) => {
        if (life.aborted) return;
        try {
          const tokens = readTokens(info, side);
          if (tokens.text.length === kind[side]?.text.length) state.complete(kind.kind, side, tokens);
        } catch {
          // What is known stays.
        }
      },
      () => asked.delete(name),
    );
  };
  watch(life, () => {
    const kind = state.now.kind.value;
    if (!painted() && state.synced.view.value !== "text") return;
    untracked(() => {
      for (const side of SIDES) ask(kind, side);
    });
  });
}
