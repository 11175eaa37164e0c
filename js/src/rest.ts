const QUIET_MS = 60;
/** Without a frame for this long, nobody looks, and none will come. */
const UNSEEN_MS = 1_000;

/** After a moment, and two frames: what the first lays out may change sizes, and the second paints what follows from them. */
export function whenQuiet(signal: AbortSignal, run: () => void): void {
  const frames = (left: number) => {
    if (signal.aborted) return;
    if (left === 0) return run();
    let next = () => {
      next = () => {};
      frames(left - 1);
    };
    requestAnimationFrame(() => next());
    setTimeout(() => next(), UNSEEN_MS);
  };
  setTimeout(() => frames(2), QUIET_MS);
}
