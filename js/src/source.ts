import { type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { atEnd } from "./basics.js";
import type { DataRequest, Head, Reply, Span } from "./protocol.js";
import { ByteCache } from "./source/cache.js";
import type { Channel, Status } from "./source/kernel.js";
import { type Lane, laneOf } from "./source/lanes.js";

export interface Block {
  kind: string;
  measure: string;
  queries: Span;
  keys: Span;
}

export interface Source {
  readonly status: ReadonlySignal<Status>;
  /** How many questions are still open. */
  readonly pending: ReadonlySignal<number>;
  /** How many of them are not about every weight of every head, which may take long. */
  readonly shown: ReadonlySignal<number>;
  /** One [queries × keys] array per head, if all of it is already here. */
  peek(block: Block, head: Head): Float32Array | undefined;
  weights(block: Block, heads: readonly Head[], signal: AbortSignal): Promise<void>;
  /** The same ahead of need: nothing waits for it. */
  ahead(block: Block, heads: readonly Head[], signal: AbortSignal): Promise<void>;
  overview(kind: string, head: Head, size: number, signal: AbortSignal): Promise<Reply>;
  statistic(kind: string, statistic: string, signal: AbortSignal): Promise<Reply>;
  pair(kind: string, query: number, key: number, signal: AbortSignal): Promise<Reply>;
  /** Any other small question; its answer is kept. */
  ask(request: DataRequest, signal: AbortSignal): Promise<Reply>;
  /** The same questions about the capture compared with. */
  beside(): Source;
}

export interface Seed {
  request: DataRequest;
  reply: Reply;
}

interface Flight {
  promise: Promise<Reply>;
  lane: Lane;
  wanted: number;
  controller: AbortController;
}

interface Place {
  name: string;
  queries: Span;
  keys: Span;
}

const inside = (inner: Span, outer: Span) => outer[0] <= inner[0] && inner[1] <= outer[1];
const length = (span: Span) => span[1] - span[0];
const nameOf = (block: Block, head: Head) =>
  `${block.kind}|${block.measure}|${head.join(".")}|${block.queries.join("-")}|${block.keys.join("-")}`;
const groupOf = (block: Block, head: Head) => `${block.kind}|${block.measure}|${head.join(".")}`;

export class CachedSource implements Source {
  #beside: CachedSource | undefined;
  #cache: ByteCache;
  #places = new Map<string, Place[]>();
  #flights = new Map<string, Flight>();
  #small = new Map<string, Reply>();

  constructor(
    readonly channel: Channel,
    seeds: readonly Seed[] = [],
    limit = 64 * 2 ** 20,
    readonly pending: Signal<number> = signal(0),
    readonly shown: Signal<number> = signal(0),
  ) {
    this.#cache = new ByteCache(limit);
    for (const { request, reply } of seeds) this.#keep(request, reply);
  }

  get status(): ReadonlySignal<Status> {
    return this.channel.status;
  }

  beside(): Source {
    const { status } = this;
    const ask: Channel["ask"] = (request, signal) => this.channel.ask({ ...request, capture: 1 }, signal);
    this.#beside ??= new CachedSource({ status, ask }, [], undefined, this.pending, this.shown);
    return this.#beside;
  }

  peek(block: Block, head: Head): Float32Array | undefined {
    const exact = this.#cache.get(nameOf(block, head));
    if (exact) return exact;
    const wider = this.#places
      .get(groupOf(block, head))
      ?.find((place) => inside(block.queries, place.queries) && inside(block.keys, place.keys));
    const data = wider && this.#cache.get(wider.name);
    return data && cut(data, wider, block);
  }

  weights(block: Block, heads: readonly Head[], signal: AbortSignal): Promise<void> {
    return this.#weights(block, heads, signal);
  }

  ahead(block: Block, heads: readonly Head[], signal: AbortSignal): Promise<void> {
    return this.#weights(block, heads, signal, true);
  }

  async #weights(block: Block, heads: readonly Head[], signal: AbortSignal, quiet = false): Promise<void> {
    const missing = heads.filter((head) => !this.peek(block, head));
    const joined = new Set<string>();
    const fresh: Head[] = [];
    for (const head of missing) {
      const flying = [...this.#flights.keys()].find((name) => name.includes(`;${nameOf(block, head)};`));
      if (flying) joined.add(flying);
      else fresh.push(head);
    }
    const open = [...joined].map((name) => this.#join(name, signal, quiet));
    if (fresh.length > 0) {
      const name = `;${fresh.map((head) => `${nameOf(block, head)};`).join(";")}`;
      open.push(this.#share(name, { type: "weights", ...block, heads: fresh }, signal, quiet));
    }
    await Promise.all(open);
  }

  overview(kind: string, [layer, head]: Head, size: number, signal: AbortSignal): Promise<Reply> {
    return this.ask({ type: "overview", kind, layer, head, size }, signal);
  }

  statistic(kind: string, statistic: string, signal: AbortSignal): Promise<Reply> {
    return this.ask({ type: "statistic", kind, statistic }, signal);
  }

  pair(kind: string, query: number, key: number, signal: AbortSignal): Promise<Reply> {
    return this.ask({ type: "pair", kind, query, key }, signal);
  }

  async ask(request: DataRequest, signal: AbortSignal): Promise<Reply> {
    const name = smallName(request);
    const known = this.#small.get(name);
    if (known) return known;
    return this.#share(name, request, signal);
  }

  #share(name: string, request: DataRequest, signal: AbortSignal, quiet = false): Promise<Reply> {
    if (!this.#flights.has(name)) {
      const controller = new AbortController();
      const promise = this.channel.ask(request, controller.signal).then((reply) => {
        this.#keep(request, reply);
        return reply;
      });
      const flight: Flight = { promise, lane: laneOf(request), wanted: 0, controller };
      this.#flights.set(name, flight);
      const done = () => {
        if (this.#flights.get(name) === flight) this.#flights.delete(name);
      };
      promise.then(done, done);
    }
    return this.#join(name, signal, quiet);
  }

  #join(name: string, signal: AbortSignal, quiet = false): Promise<Reply> {
    const flight = this.#flights.get(name);
    if (!flight) return Promise.reject(new Error("Nothing to wait for."));
    flight.wanted += 1;
    const count = (by: number) => {
      if (quiet) return;
      this.pending.value = this.pending.peek() + by;
      if (flight.lane !== "heads") this.shown.value = this.shown.peek() + by;
    };
    count(1);
    return new Promise((settle, fail) => {
      const leave = () => {
        count(-1);
        flight.wanted -= 1;
        if (flight.wanted === 0) {
          if (this.#flights.get(name) === flight) this.#flights.delete(name);
          flight.controller.abort(signal.reason);
        }
        fail(signal.reason);
      };
      if (signal.aborted) return leave();
      atEnd(signal, leave);
      const stay = () => {
        if (signal.aborted) return;
        signal.removeEventListener("abort", leave);
        count(-1);
      };
      flight.promise.finally(stay).then(settle, fail);
    });
  }

  #keep(request: DataRequest, reply: Reply): void {
    if (request.type !== "weights") {
      this.#small.set(smallName(request), reply);
      return;
    }
    const { queries, keys, heads } = request;
    const size = length(queries) * length(keys);
    if (size * heads.length !== reply.data.length) throw new Error("The reply does not fit the request.");
    heads.forEach((head, index) => {
      const name = nameOf(request, head);
      const group = groupOf(request, head);
      const data = reply.data.slice(index * size, (index + 1) * size);
      const places = this.#places.get(group) ?? [];
      if (!places.some((place) => place.name === name)) places.push({ name, queries, keys });
      this.#places.set(group, places);
      for (const dropped of this.#cache.set(name, data)) this.#forget(dropped);
    });
  }

  #forget(name: string): void {
    const group = name.split("|").slice(0, 3).join("|");
    const left = this.#places.get(group)?.filter((place) => place.name !== name) ?? [];
    if (left.length > 0) this.#places.set(group, left);
    else this.#places.delete(group);
  }
}

function smallName(request: DataRequest): string {
  return JSON.stringify(Object.entries(request).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function cut(data: Float32Array, from: Place, to: Block): Float32Array {
  const width = length(from.keys);
  const wanted = length(to.keys);
  const start = to.keys[0] - from.keys[0];
  const out = new Float32Array(length(to.queries) * wanted);
  for (let row = 0; row < length(to.queries); row++) {
    const at = (row + to.queries[0] - from.queries[0]) * width + start;
    out.set(data.subarray(at, at + wanted), row * wanted);
  }
  return out;
}
