import { type Signal, signal } from "@preact/signals-core";
import { atEnd } from "./basics.js";

/** Paints once per frame, however many things changed; counts what is still to be painted. */
export class Scheduler {
  readonly pending: Signal<number> = signal(0);
  #waiting = new Set<() => void>();
  #frame = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #postponed = false;

  /** @param seen Whether there is any room to paint in. */
  constructor(
    readonly life: AbortSignal,
    readonly seen: () => boolean = () => true,
  ) {
    atEnd(life, () => this.#stop());
  }

  paint(job: () => void): void {
    if (this.life.aborted) return;
    if (!this.#waiting.has(job)) {
      this.#waiting.add(job);
      this.pending.value = this.pending.peek() + 1;
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => this.#flush());
    // Frames stop in a hidden tab, and what it shows is still read.
    this.#timer = setTimeout(() => this.#flush(), 120);
  }

  /** Runs the last of several calls after a moment of quiet, or at the end of each such moment if `steady`. */
  settle(milliseconds: number, steady = false): (job: () => void) => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = () => {};
    return (job) => {
      last = job;
      if (timer === undefined) this.pending.value = this.pending.peek() + 1;
      else if (steady) return;
      clearTimeout(timer);
      timer = setTimeout(() => {
        timer = undefined;
        if (!this.life.aborted) last();
        this.pending.value = this.pending.peek() - 1;
      }, milliseconds);
    };
  }

  #flush(): void {
    this.#stop();
    // A host that hides the page within a frame, as while it changes its theme, tells nobody of a size that came back.
    this.#postponed = !this.#postponed && !this.seen();
    if (this.#postponed) {
      this.#schedule();
      return;
    }
    const jobs = [...this.#waiting];
    this.#waiting.clear();
    for (const job of jobs) {
      try {
        job();
      } finally {
        this.pending.value = this.pending.peek() - 1;
      }
    }
  }

  #stop(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = 0;
  }
}
