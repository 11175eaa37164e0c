import { Descent, mixed, uniform } from "../attention/flow.js";
import { type Layer, QueriesKeysLayer } from "../attention/layer.js";
import type { EvolutionRequest, FlowRequest, KindInfo, Reply } from "../protocol.js";
import type { Breath } from "./breath.js";
import type { StoredCapture } from "./pack.js";

/** Most multiplications a page does for one flow: about half a minute, in slices. */
const MOST_WORK = 1.5e10;
/** Most means kept of a layer, so that the flow of another token comes at once. */
const MOST_KEPT = 1 << 21;

const means = new WeakMap<Layer, Map<number, Float32Array>>();

/** A token's routes down through the layers; the twin of Python's answer. */
export async function flow(
  pack: StoredCapture,
  kind: KindInfo,
  request: FlowRequest,
  breath: Breath,
): Promise<Reply> {
  const tokens = kind.queries.text.length;
  const { level, edges } = request;
  const work = kind.heads
    .slice(0, level - 1)
    .reduce(
      (sum, heads, row) =>
        sum + heads * tokens ** 2 * widthOf(pack.layer(kind.kind, kind.layers[row] as number)),
      0,
    );
  if (work > MOST_WORK)
    throw new Error(
      `The flow through ${level} layers of ${tokens} tokens would take this page minutes. See it with a kernel.`,
    );
  const descent = new Descent(tokens, level, request.query, edges, request.excess);
  for (let row = level - 1; row >= 0; row--) {
    const layer = pack.layer(kind.kind, kind.layers[row] as number);
    for (let token = 0; token < tokens; token++) {
      const [share, chance] = descent.above(row, token);
      if (share === 0 && chance === 0) continue;
      const real = share > 0 ? mixed(await meanRow(layer, token, breath), token) : null;
      descent.pass(row, token, real, chance > 0 ? uniform(layer.mask, token, tokens) : null);
      await breath.take();
    }
    descent.settle(row);
  }
  const data = new Float32Array(2 * descent.shares.length + level * edges * 4);
  data.set(descent.shares);
  data.set(descent.chances, descent.shares.length);
  descent.links.forEach((links, row) => {
    links.forEach(({ above, below, share, chance }, at) => {
      data.set([above, below, share, chance], 2 * descent.shares.length + 4 * (row * edges + at));
    });
  });
  return { shape: [data.length], data, info: { levels: level + 1, tokens, edges } };
}

const widthOf = (layer: Layer) => (layer instanceof QueriesKeysLayer ? layer.stored.width : 1);

/** The mean over the heads of one row. */
async function meanRow(layer: Layer, query: number, breath: Breath): Promise<Float32Array> {
  const known = means.get(layer) ?? new Map<number, Float32Array>();
  means.set(layer, known);
  const before = known.get(query);
  if (before) return before;
  const sum = new Float64Array(layer.keys);
  const row = new Float32Array(layer.keys);
  for (let head = 0; head < layer.heads; head++) {
    layer.weights(head, query, row);
    for (let key = 0; key < row.length; key++) sum[key] = (sum[key] as number) + (row[key] as number);
    await breath.take();
  }
  const mean = Float32Array.from(sum, (value) => value / layer.heads);
  if ((known.size + 1) * layer.keys <= MOST_KEPT) known.set(query, mean);
  return mean;
}

/** One query's weights in every layer. */
export async function evolution(
  pack: StoredCapture,
  kind: KindInfo,
  { query, head }: EvolutionRequest,
  breath: Breath,
): Promise<Reply> {
  const keys = (kind.keys ?? kind.queries).text.length;
  const data = new Float32Array(kind.layers.length * keys).fill(Number.NaN);
  for (const [index, number] of kind.layers.entries()) {
    const row = data.subarray(index * keys, (index + 1) * keys);
    if (head === null) row.set(await meanRow(pack.layer(kind.kind, number), query, breath));
    else if (head < (kind.heads[index] as number)) {
      const [layer, at] = pack.head(kind.kind, number, head);
      layer.weights(at, query, row);
    }
    await breath.take();
  }
  return { shape: [kind.layers.length, keys], data };
}
