import { type Signal, signal } from "@preact/signals-core";
import { messageOf } from "../basics.js";
import type { Context } from "../context.js";
import { el } from "../dom.js";
import { unpackPixels } from "../draw/patches.js";
import type { Reply } from "../protocol.js";

/** The pictures a capture carries, as canvases, asked for when they are first looked at. */
export class Pictures {
  readonly version: Signal<number> = signal(0);
  #known = new Map<number, HTMLCanvasElement | null>();

  constructor(readonly context: Context) {}

  /** Height and width of a picture; undefined where there is none for this many scenes. */
  size(number: number, scenes: number): readonly [number, number] | undefined {
    const { pictures } = this.context.state.capture;
    return pictures?.length === scenes ? pictures[number] : undefined;
  }

  get(number: number, scenes: number): HTMLCanvasElement | null {
    if (!this.size(number, scenes)) return null;
    const known = this.#known.get(number);
    if (known !== undefined) return known;
    this.#known.set(number, null);
    const { source, state, life } = this.context;
    const kind = state.capture.kinds[0]?.kind ?? "";
    source.ask({ type: "picture", kind, number }, life).then(
      (reply) => {
        this.#known.set(number, paint(reply));
        this.version.value += 1;
      },
      (error: unknown) => {
        if (!life.aborted) state.page.message.value = messageOf(error);
      },
    );
    return null;
  }
}

function paint({ shape, data }: Reply): HTMLCanvasElement {
  const [height = 1, width = 1] = shape;
  const canvas = el("canvas", { width, height });
  canvas.getContext("2d")?.putImageData(new ImageData(unpackPixels(data), width, height), 0, 0);
  return canvas;
}
