import { type Context, release } from "../context.js";
import { hearKeys, isTyping } from "../typing.js";
import { moveHead, moveLayer } from "./selection.js";

export interface Shortcuts {
  find: () => void;
  table: { toggle(): void; close(): boolean };
}

/** Keys that work wherever the focus is inside the frame, unless a control there uses them itself. */
export function listenToKeys(root: HTMLElement, { state, life }: Context, { find, table }: Shortcuts): void {
  const run = (event: KeyboardEvent): boolean => {
    const target = event.composedPath()[0];
    if (event.key === "Escape") {
      state.page.hoverQuery.value = null;
      state.page.hoverKey.value = null;
      return release(state) || table.close();
    }
    if (isTyping(event)) return false;
    if (event.key === "/") {
      find();
      return true;
    }
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return false;
    if (event.key === "t") table.toggle();
    else if (event.key === "ArrowLeft") moveLayer(state, -1);
    else if (event.key === "ArrowRight") moveLayer(state, 1);
    else if (event.key === "ArrowUp") moveHead(state, -1);
    else if (event.key === "ArrowDown") moveHead(state, 1);
    else return false;
    return true;
  };
  hearKeys(root, run, life);
}
