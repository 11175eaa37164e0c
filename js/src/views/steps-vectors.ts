import { type Signal, signal } from "@preact/signals-core";
import { atEnd, givenUp, messageOf } from "../basics.js";
import type { Context } from "../context.js";
import type { Head, Reply } from "../protocol.js";

const BLOCK = 64;

/** The vectors of one head, asked for in blocks of keys, so that no question waits on a pointer twice. */
export class Vectors {
  /** Grows when more vectors are here. */
  readonly version: Signal<number> = signal(0);
  #of = "";
  #kind = "";
  #head: Head = [0, 0];
  #keys = 0;
  #blocks = new Map<number, Reply>();
  #queries = new Map<number, Reply>();
  #controller = new AbortController();
  #asked = new Set<string>();

  constructor(readonly context: Context) {
    atEnd(context.life, () => this.#controller.abort(givenUp()));
  }

  /** What the vectors belong to; another head drops what is here. */
  aim(kind: string, head: Head, keys: number): void {
    const name = `${kind}|${head.join(".")}`;
    if (name === this.#of) return;
    this.#of = name;
    [this.#kind, this.#head, this.#keys] = [kind, head, keys];
    this.#blocks.clear();
    this.#queries.clear();
    this.#asked.clear();
    this.#controller.abort(givenUp());
    this.#controller = new AbortController();
  }

  query(at: number): Float32Array | undefined {
    const reply = this.#queries.get(at);
    if (!reply) this.#ask(`query ${at}`, at, 0, 0, (found) => this.#queries.set(at, found));
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
      this.#ask(`keys ${block}`, 0, from, to, (found) => this.#blocks.set(block, found));
      return undefined;
    }
    const [width, valueWidth] = [Number(reply.info?.width), Number(reply.info?.value_width)];
    const [from, to] = part(width, valueWidth);
    const start = (1 + at - block * BLOCK) * (width + valueWidth);
    return reply.data.subarray(start + from, start + to);
  }

  #ask(name: string, query: number, from: number, to: number, keep: (reply: Reply) => void): void {
    if (this.#asked.has(name)) return;
    this.#asked.add(name);
    const { source, state } = this.context;
    const { signal } = this.#controller;
    const [layer, head] = this.#head;
    source.ask({ type: "vectors", kind: this.#kind, layer, head, query, keys: [from, to] }, signal).then(
      (reply) => {
        if (signal.aborted) return;
        keep(reply);
        this.version.value += 1;
      },
      (error: unknown) => {
        if (!signal.aborted) state.page.message.value = messageOf(error);
      },
    );
  }
}
