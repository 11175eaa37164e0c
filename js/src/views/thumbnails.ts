import { domainOf } from "../attention/strength.js";
import { clamp, messageOf } from "../basics.js";
import type { Context } from "../context.js";
import { rampTable } from "../draw/heatmap.js";
import type { Palette } from "../draw/palette.js";
import type { Head } from "../protocol.js";

const TOGETHER = 16;
/** Weights that are gone through for one answer; of long texts fewer heads come together. */
const MOST_WEIGHTS = 2 ** 26;
const SIZE = 48;
const MOST_PAINTED = 1024;
/** Longest that new pictures are painted before the frame is shown. */
const FRAME_MS = 8;

interface Picture {
  cells: Float32Array;
  tall: number;
  wide: number;
}

/** Small pictures of heads: asked for when they come on screen, kept as they were painted last. */
export class Thumbnails {
  #known = new Map<string, Picture>();
  #painted = new Map<string, HTMLCanvasElement>();
  #asked = new Set<string>();
  #palette: Palette | undefined;
  #ramp: Uint8ClampedArray | undefined;
  #until = 0;
  #late = false;
  #asking = new AbortController();

  constructor(
    readonly context: Context,
    readonly changed: () => void,
  ) {}

  /** Forgets what is no longer wanted, and asks for what is. */
  want(heads: readonly Head[]): void {
    const kind = this.context.state.now.kind.value.kind;
    const missing = heads.filter((head) => !this.#known.has(nameOf(kind, head)));
    const fresh = missing.filter((head) => !this.#asked.has(nameOf(kind, head)));
    if (fresh.length === 0) return;
    if (missing.length === fresh.length && this.#asked.size > 0) {
      this.#asking.abort();
      this.#asking = new AbortController();
      this.#asked.clear();
    }
    const { queries, keys } = this.context.state.now;
    const fitting = Math.floor(MOST_WEIGHTS / (queries.value.length * keys.value.length));
    const together = clamp(fitting, 1, TOGETHER);
    // The newest question is answered first.
    for (let at = fresh.length - (fresh.length % together || together); at >= 0; at -= together)
      this.#ask(kind, fresh.slice(at, at + together));
  }

  /** Whether pictures are on their way. */
  get waits(): boolean {
    return this.#asked.size > 0;
  }

  #ask(kind: string, heads: Head[]): void {
    const { source, life, state } = this.context;
    const signal = AbortSignal.any([life, this.#asking.signal]);
    for (const head of heads) this.#asked.add(nameOf(kind, head));
    const done = () => {
      for (const head of heads) this.#asked.delete(nameOf(kind, head));
    };
    source.ask({ type: "overviews", kind, heads, size: SIZE }, signal).then(
      ({ shape: [, tall = 0, wide = 0], data }) => {
        done();
        heads.forEach((head, at) => {
          const cells = data.subarray(at * tall * wide, (at + 1) * tall * wide);
          this.#known.set(nameOf(kind, head), { cells, tall, wide });
        });
        this.changed();
      },
      (error: unknown) => {
        if (signal.aborted) return;
        state.page.message.value = messageOf(error);
        setTimeout(done, 5_000);
      },
    );
  }

  /** Paints what is new while there is time left in this frame; says whether something was left for the next. */
  inTime(run: () => void): boolean {
    this.#until = performance.now() + FRAME_MS;
    this.#late = false;
    run();
    return !this.#late;
  }

  /** The head's picture, one pixel per cell; undefined until it is here. */
  of(head: Head, palette: Palette): HTMLCanvasElement | undefined {
    if (palette !== this.#palette) {
      this.#painted.clear();
      this.#palette = palette;
      this.#ramp = rampTable(palette);
    }
    const name = nameOf(this.context.state.now.kind.value.kind, head);
    const painted = this.#painted.get(name);
    if (painted) return painted;
    const picture = this.#known.get(name);
    if (!picture || !this.#ramp) return undefined;
    if (performance.now() > this.#until) {
      this.#late = true;
      return undefined;
    }
    const canvas = paint(picture, this.#ramp);
    this.#painted.set(name, canvas);
    const [oldest] = this.#painted.keys();
    if (this.#painted.size > MOST_PAINTED && oldest !== undefined) this.#painted.delete(oldest);
    return canvas;
  }
}

const nameOf = (kind: string, head: Head) => `${kind}|${head}`;

/** Colours from nothing to the largest weight of the head; what is masked stays open. */
function paint({ cells, tall, wide }: Picture, table: Uint8ClampedArray): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = wide;
  canvas.height = tall;
  const pen = canvas.getContext("2d");
  if (!pen || wide === 0 || tall === 0) return canvas;
  const { most } = domainOf([cells]);
  const image = new ImageData(wide, tall);
  cells.forEach((value, at) => {
    if (Number.isNaN(value)) return;
    const shade = Math.round((most > 0 ? Math.max(0, value / most) : 0) * 255) * 3;
    const place = at * 4;
    for (let channel = 0; channel < 3; channel++)
      image.data[place + channel] = table[shade + channel] as number;
    image.data[place + 3] = 255;
  });
  pen.putImageData(image, 0, 0);
  return canvas;
}

/** Keeps the shape of a rectangle that is taller than wide, or the other way round. */
export function scaled({ width, height }: HTMLCanvasElement, size: number): [number, number] {
  const scale = size / Math.max(width, height, 1);
  return [Math.max(1, width * scale), Math.max(1, height * scale)];
}
