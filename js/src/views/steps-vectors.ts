import { type Signal, signal } from "@preact/signals-core";
import { atEnd, givenUp, messageOf } from "../basics.js";
import type { Context } from "../context.js";
import type { Head, Reply, Span } from "../protocol.js";

const BLOCK = 64;

/** The vectors of one head, asked for in blocks of keys, so that no question waits on a pointer twice. */
export class Vectors {
  /** Grows when more vectors are here. */
  readonly version: Signal<number> = signal(0);
  #of = "";
  #kind = "";
  #head: Head = [0, 0];
  #query = 0;
  #keys = 0;
  #blocks = new Map<number, Reply>();
  #controller = new AbortController();
  #asked = new Set<number>();

  constructor(readonly context: Context) {
    atEnd(context.life, () => this.#controller.abort(givenUp()));
  }

  /** What the vectors belong to; another head or query drops what is here. */
  aim(kind: string, head: Head, query: number, keys: number): void {
    const name = `${kind}|${head.join(".")}|${query}`;
    if (name === this.#of) return;
    this.#of = name;
    [this.#kind, this.#head, this.#query, this.#keys] = [kind, head, query, keys];
    this.#blocks.clear();
    this.#asked.clear();
    this.#controller.abort(givenUp());
    this.#controller = new AbortController();
  }

  /** The query's own vector, which comes with any of its keys. */
  query(): Float32Array | undefined {
    const [reply] = this.#blocks.values();
    return reply?.data.subarray(0, Number(reply.info?.width));
  }

  key(at: number): Float32Array | undefined {
    return this.#cut(at, (width) => [0, width]);
  }

  value(at: number): Float32Array | undefined {
    return this.#cut(at, (width, valueWidth) => [width, width + valueWidth]);
  }

  /** Asks for all keys and says whether they are here. */
  all(): boolean {
    let here = true;
    for (let at = 0; at < this.#keys; at += BLOCK) here = this.key(at) !== undefined && here;
    return here;
  }

  #cut(at: number, part: (width: number, valueWidth: number) => [number, number]): Float32Array | undefined {
    const block = Math.floor(at / BLOCK);
    const reply = this.#blocks.get(block);
    if (!reply) {
      const from = block * BLOCK;
      const to = Math.min(from + BLOCK, this.#keys);
      this.#ask(block, [from, to]);
      return undefined;
    }
    const [width, valueWidth] = [Number(reply.info?.width), Number(reply.info?.value_width)];
    const [from, to] = part(width, valueWidth);
    const start = (1 + at - block * BLOCK) * (width + valueWidth);
    return reply.data.subarray(start + from, start + to);
  }

  #ask(block: number, keys: Span): void {
    if (this.#asked.has(block)) return;
    this.#asked.add(block);
    const { source, state } = this.context;
    const { signal } = this.#controller;
    const [layer, head] = this.#head;
    source.ask({ type: "vectors", kind: this.#kind, layer, head, query: this.#query, keys }, signal).then(
      (reply) => {
        if (signal.aborted) return;
        this.#blocks.set(block, reply);
        this.version.value += 1;
      },
      (error: unknown) => {
        if (!signal.aborted) state.page.message.value = messageOf(error);
      },
    );
  }
}
