const TEXTS = new Set(["text", "search", "number"]);

/** Whether a key is typed into a field. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  return target instanceof HTMLInputElement && TEXTS.has(target.type);
}
