import { atEnd } from "./basics.js";
import { setAttribute, watch } from "./dom.js";

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

/** Says when all that is shown is complete and at rest; `busy` reads all that changes what is shown. */
export function followRest(root: HTMLElement, busy: () => boolean, life: AbortSignal): void {
  let rest = new AbortController();
  watch(life, () => {
    const isBusy = busy();
    rest.abort();
    setAttribute(root, "data-ready", "false");
    if (isBusy) return;
    rest = new AbortController();
    whenQuiet(rest.signal, () => {
      if (!life.aborted) setAttribute(root, "data-ready", "true");
    });
  });
  atEnd(life, () => rest.abort());
}
