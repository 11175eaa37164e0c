import { type ReadonlySignal, signal } from "@preact/signals-core";
import { weigh } from "../attention/layer.js";
import { Overview } from "../attention/overview.js";
import type {
  DataRequest,
  Head,
  KindInfo,
  OverviewRequest,
  OverviewsRequest,
  PairRequest,
  Reply,
  WeightsRequest,
} from "../protocol.js";
import { Breath } from "./breath.js";
import type { Channel, Status } from "./kernel.js";
import type { Pack, StoredCapture } from "./pack.js";
import { evolution, flow } from "./stored-flow.js";
import { steps, vectors } from "./stored-steps.js";

/** Answers from what the page itself carries. */
export class StoredChannel implements Channel {
  constructor(
    readonly pack: Pack,
    readonly status: ReadonlySignal<Status> = signal<Status>("stored"),
    /** Told of every question. */
    readonly asked: () => void = () => {},
  ) {}

  async ask(request: DataRequest, signal: AbortSignal): Promise<Reply> {
    this.asked();
    await Promise.resolve();
    signal.throwIfAborted();
    const pack = request.capture === 1 ? this.pack.other : this.pack;
    if (!pack) throw new Error("This page holds one capture only.");
    const kind = pack.capture.kinds.find((entry) => entry.kind === request.kind);
    if (!kind) throw new Error(`This page holds no ${request.kind} attention.`);
    const breath = new Breath(signal);
    switch (request.type) {
      case "weights":
        return weights(pack, request, breath);
      case "overview":
        return overview(pack, request, breath);
      case "overviews":
        return overviews(pack, request, breath);
      case "pair":
        return pair(pack, kind, request, breath);
      case "steps":
        return steps(pack, request);
      case "flow":
        return flow(pack, kind, request, breath);
      case "evolution":
        return evolution(pack, kind, request, breath);
      case "vectors":
        return vectors(pack, request);
      case "statistic":
        throw new Error(`This page was saved without the statistic “${request.statistic}”.`);
      case "picture":
        throw new Error("This page was saved without that picture.");
      default:
        throw new Error(`This page was saved without the heads’ ${request.type}.`);
    }
  }
}

async function weights(pack: StoredCapture, request: WeightsRequest, breath: Breath): Promise<Reply> {
  const { heads, queries, keys, measure } = request;
  const shape = [heads.length, queries[1] - queries[0], keys[1] - keys[0]];
  const [, tall, wide] = shape as [number, number, number];
  const data = new Float32Array(heads.length * tall * wide);
  for (const [index, [number, head]] of heads.entries()) {
    const [layer, at] = pack.head(request.kind, number, head);
    const row = new Float32Array(layer.keys);
    const lengths = pack.lengths(request.kind, number, measure);
    if (measure !== "weights" && measure !== "scores" && !lengths) {
      throw new Error(`This page was saved without “${measure}”.`);
    }
    for (let line = 0; line < tall; line++) {
      const query = queries[0] + line;
      const place = (index * tall + line) * wide;
      if (measure === "weights" && wide === 1) data[place] = layer.weight(at, query, keys[0]);
      else {
        layer[measure === "scores" ? "scores" : "weights"](at, query, row);
        if (lengths) weigh(row, lengths, head);
        data.set(row.subarray(keys[0], keys[1]), place);
      }
      await breath.take();
    }
  }
  return { shape, data };
}

async function overview(pack: StoredCapture, request: OverviewRequest, breath: Breath): Promise<Reply> {
  const [layer, head] = pack.head(request.kind, request.layer, request.head);
  const picture = new Overview(layer, head, request.size);
  for (let query = 0; query < layer.queries; query++) {
    picture.add(query);
    await breath.take();
  }
  return { shape: picture.shape, data: picture.cells };
}

/** Heads that are not stored stay empty, unless none of them is. */
async function overviews(
  pack: StoredCapture,
  { kind, heads, size }: OverviewsRequest,
  breath: Breath,
): Promise<Reply> {
  const info = pack.capture.kinds.find((entry) => entry.kind === kind);
  const isStored = (head: Head) => info?.stored?.has(head) ?? true;
  const known = heads.some(isStored) ? heads.map(isStored) : heads.map(() => true);
  const pictures: (Reply | null)[] = [];
  for (const [at, [layer, head]] of heads.entries()) {
    const request = { type: "overview", kind, layer, head, size } as const;
    pictures.push(known[at] ? await overview(pack, request, breath) : null);
  }
  const [tall = 0, wide = 0] = pictures.find((picture) => picture !== null)?.shape ?? [];
  const data = new Float32Array(heads.length * tall * wide).fill(Number.NaN);
  pictures.forEach((picture, at) => {
    if (picture) data.set(picture.data, at * tall * wide);
  });
  return { shape: [heads.length, tall, wide], data };
}

async function pair(
  pack: StoredCapture,
  kind: KindInfo,
  request: PairRequest,
  breath: Breath,
): Promise<Reply> {
  const most = Math.max(...kind.heads);
  const data = new Float32Array(kind.layers.length * most).fill(Number.NaN);
  for (const [index, number] of kind.layers.entries()) {
    const layer = pack.layer(kind.kind, number);
    for (let head = 0; head < layer.heads; head++) {
      data[index * most + head] = layer.weight(head, request.query, request.key);
      await breath.take();
    }
  }
  return { shape: [kind.layers.length, most], data };
}
