import { isShortcut, setAttribute } from "./dom.js";

const TEXTS = new Set(["text", "search", "number"]);

/** Whether a key is typed into a field. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  return target instanceof HTMLInputElement && TEXTS.has(target.type);
}

/** Hears the keys pressed inside a frame, which nobody outside it hears; `run` says whether it used one. */
export function hearKeys(root: HTMLElement, run: (event: KeyboardEvent) => boolean, life: AbortSignal): void {
  const listen = (event: KeyboardEvent) => {
    if (isShortcut(event)) return;
    if (run(event)) event.preventDefault();
    // A notebook has its own meaning for single keys.
    event.stopPropagation();
  };
  root.addEventListener("keydown", listen, { signal: life });
  root.addEventListener("focusin", leaveToUs, { signal: life });
}

/** Jupyter asks whether it may take a key from the focused element on upwards, and stops at the first that matches. */
function leaveToUs({ target }: FocusEvent): void {
  if (target instanceof Element) setAttribute(target, "data-lm-suppress-shortcuts", "true");
}
