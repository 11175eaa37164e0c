export const clamp = (value: number, least: number, most: number): number =>
  Math.min(most, Math.max(least, value));

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Why something on its way is given up. */
export const givenUp = (reason = "No longer wanted."): DOMException => new DOMException(reason, "AbortError");

export function atEnd(life: AbortSignal, run: () => void): void {
  life.addEventListener("abort", run, { once: true });
}
