const SLICE_MS = 12;

/** Gives the page a chance to paint between slices of a long computation. */
export class Breath {
  #since = performance.now();

  constructor(readonly signal: AbortSignal) {}

  async take(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await turn();
    this.signal.throwIfAborted();
    this.#since = performance.now();
  }
}

/** Lets go of the page until its other tasks had their turn; a timer would wait longer, and far longer out of sight. */
function turn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((go) => {
    port1.onmessage = () => {
      port1.close();
      go();
    };
    port2.postMessage(null);
  });
}
