const SLICE_MS = 12;

/** Gives the page a chance to paint between slices of a long computation. */
export class Breath {
  #since = performance.now();

  constructor(readonly signal: AbortSignal) {}

  async take(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await new Promise((go) => setTimeout(go));
    this.signal.throwIfAborted();
    this.#since = performance.now();
  }
}
