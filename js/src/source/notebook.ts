import { computed } from "@preact/signals-core";
import { watch } from "../dom.js";
import type { State } from "../state.js";
import { inflate } from "./inflate.js";
import type { Channel, KernelChannel } from "./kernel.js";
import { type Pack, readPack } from "./pack.js";
import { storedBytes } from "./saved.js";
import { StoredChannel } from "./stored.js";

/** What answers in place of a kernel. */
export interface Saved {
  channel: Channel;
  pack?: Pack;
}

/** The notebook's place for what a page without a kernel needs. */
export interface Shelf {
  read(): unknown;
  /** Asks the kernel to fill it, saying how many bytes are there. */
  renew(has: number): unknown;
}

/** How long a page rests before it asks for what is to be stored. */
const REST_MS = 1_500;
/** How often a kernel that was silent is spoken to. */
const GREET_MS = 3_000;
const LOOK_MS = 300;

/** What the notebook holds for a page without a kernel; null where it holds nothing. */
export async function saved(shelf: Shelf): Promise<Saved | null> {
  const bytes = storedBytes(shelf.read());
  if (bytes.length === 0) return null;
  const pack = readPack(await inflate([bytes.slice()].values()), "notebook");
  return { pack, channel: new StoredChannel(pack) };
}

/** Goes over to what is stored while the kernel does not answer, and back when it does. */
export function followKernel(
  shelf: Shelf,
  kernel: KernelChannel,
  show: (saved: Saved | null) => void,
  isAtWork: () => boolean,
  life: AbortSignal,
): void {
  let isStored = false;
  const status = computed(() => (kernel.answered.value ? kernel.status.value : "stored"));
  const replace = async () => {
    const found = await saved(shelf).catch(() => null);
    if (!found?.pack || life.aborted || kernel.status.peek() !== "silent") return;
    let greeted = performance.now();
    const greet = () => {
      if (performance.now() - greeted < GREET_MS) return;
      greeted = performance.now();
      kernel.greet(life);
    };
    isStored = true;
    show({ pack: found.pack, channel: new StoredChannel(found.pack, status, greet) });
  };
  watch(life, () => {
    if (kernel.status.value === "silent") {
      if (!isAtWork()) queueMicrotask(replace);
    } else if (isStored) {
      isStored = false;
      queueMicrotask(() => show(null));
    }
  });
}

/** Asks, whenever the page has come to rest, for what is to be stored with the notebook. */
export function keepStored(
  shelf: Shelf,
  state: State,
  { pending }: { pending: { value: number } },
  kernel: KernelChannel,
  life: AbortSignal,
): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  watch(life, () => {
    void [state.now.kind.value, state.now.heads.value];
    const isBusy = pending.value > 0 || state.page.progress.value !== null;
    const isLive = kernel.answered.value && kernel.status.value === "live";
    clearTimeout(timer);
    if (isBusy || !isLive) return;
    timer = setTimeout(() => {
      if (life.aborted) return;
      try {
        Promise.resolve(shelf.renew(storedBytes(shelf.read()).length)).catch(() => {});
      } catch {
        // The kernel is gone, and what was stored stays.
      }
    }, REST_MS);
  });
}

/** Hides what stands beside the view for readers who have no view. */
export function standForIt(el: HTMLElement, mark: unknown, life: AbortSignal): void {
  if (typeof mark !== "string" || !/^[0-9a-f]+$/.test(mark)) return;
  el.dataset.attnscopeLive = mark;
  const look = () => {
    if (life.aborted) return;
    if (!el.isConnected) {
      setTimeout(look, LOOK_MS);
      return;
    }
    const root = el.getRootNode() as Document | ShadowRoot;
    for (const node of root.querySelectorAll<HTMLElement>(`[data-attnscope-standin="${mark}"]`)) {
      (node.closest<HTMLElement>(".jp-OutputArea-child") ?? node).style.display = "none";
      node.querySelector("iframe")?.remove();
    }
  };
  look();
}
