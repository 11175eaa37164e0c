import type { Context } from "./context.js";
import { watch } from "./dom.js";
import type { Head, KindInfo } from "./protocol.js";
import type { Block } from "./source.js";

/** How long nothing must be asked for, and most numbers fetched ahead until something is asked again: a megabyte. */
const IDLE_MS = 300;
const MOST_CELLS = 262_144;
/** What is no more work for one head than its weights. */
const CHEAP = new Set(["weights", "scores"]);

/** Brings what is likely next from a kernel that has nothing else to do, and gives it up when anything is asked. */
export function fetchAhead({ state, source, data, scheduler, life }: Context): void {
  let going = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const fetch = async (signal: AbortSignal) => {
    let room = MOST_CELLS;
    for (const [block, head] of likely(state.now.kind.peek(), data.lately, state.now.heads.peek())) {
      if (source.peek(block, head)) continue;
      room -= (block.queries[1] - block.queries[0]) * (block.keys[1] - block.keys[0]);
      if (signal.aborted || room < 0) return;
      await source.ahead(block, [head], signal);
    }
  };
  watch(life, () => {
    state.follow();
    clearTimeout(timer);
    going.abort();
    const isBusy = source.pending.value + scheduler.pending.value > 0;
    if (isBusy || source.status.value !== "live" || !CHEAP.has(state.now.measure.value)) return;
    going = new AbortController();
    const signal = AbortSignal.any([life, going.signal]);
    timer = setTimeout(() => void fetch(signal).catch(() => {}), IDLE_MS);
  });
  life.addEventListener("abort", () => clearTimeout(timer), { once: true });
}

/** Rows that were asked for last, and those that follow the way the reader goes. */
export interface Lately {
  blocks: readonly Block[];
  next: Block | null;
}

/** The rows further on, then the same rows of the heads and layers beside the one selected last. */
function* likely(kind: KindInfo, { blocks, next }: Lately, heads: readonly Head[]): Generator<[Block, Head]> {
  const last = heads[heads.length - 1];
  if (!last || blocks.some((block) => block.kind !== kind.kind)) return;
  if (next) for (const head of heads) yield [next, head];
  for (const head of beside(kind, last)) for (const block of blocks) yield [block, head];
}

export function beside({ layers, heads }: KindInfo, [layer, head]: Head): Head[] {
  const row = layers.indexOf(layer);
  const places = [
    [row, head + 1],
    [row + 1, head],
    [row, head - 1],
    [row - 1, head],
  ] as const;
  return places.flatMap(([at, other]): Head[] => {
    const number = layers[at];
    return number !== undefined && other >= 0 && other < (heads[at] ?? 0) ? [[number, other]] : [];
  });
}
