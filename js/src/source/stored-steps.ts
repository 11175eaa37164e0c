import { QueriesKeysLayer } from "../attention/layer.js";
import { weightedSum } from "../attention/steps.js";
import type { Reply, StepsRequest, VectorsRequest } from "../protocol.js";
import type { StoredCapture } from "./pack.js";

const MISSING =
  "This page carries weights only: the scores before softmax, and what they came from, are not in it.";

/** One query's row in its parts; the twin of Python's answer. */
export function steps(
  pack: StoredCapture,
  { kind, layer: number, head: wanted, query }: StepsRequest,
): Reply {
  const [layer, head] = pack.head(kind, number, wanted);
  const parts = new Float32Array(3 * layer.keys).fill(Number.NaN);
  const weights = parts.subarray(2 * layer.keys);
  layer.weights(head, query, weights);
  const reply = { shape: [3, layer.keys], data: parts };
  if (!(layer instanceof QueriesKeysLayer)) return { ...reply, info: { missing: MISSING } };
  const { stored } = layer;
  const vectors = vectorsOf(layer, head, query);
  for (let key = 0; key < layer.keys; key++) {
    const vector = vectors.key(key);
    parts[key] = vectors.query.reduce((sum, value, at) => sum + value * (vector[at] as number), 0);
    parts[layer.keys + key] = layer.bias(head, query, key);
  }
  const info = {
    scale: stored.scale,
    softcap: stored.softcap,
    sink: stored.sinks?.[head] ?? null,
    biased: stored.bias !== undefined,
    width: stored.width,
    key_head: layer.keyHead(head),
    key_heads: stored.keyHeads,
    ...(stored.values && { output: [...weightedSum(Float64Array.from(weights), vectors.value)] }),
  };
  return { ...reply, info };
}

/** The query's vector, then some keys' vectors and behind each its value. */
export function vectors(pack: StoredCapture, request: VectorsRequest): Reply {
  const [layer, head] = pack.head(request.kind, request.layer, request.head);
  if (!(layer instanceof QueriesKeysLayer)) throw new Error(MISSING);
  const { width } = layer.stored;
  const found = vectorsOf(layer, head, request.query);
  const [from, to] = request.keys;
  const wide = width + found.valueWidth;
  const data = new Float32Array((1 + to - from) * wide);
  data.set(found.query);
  for (let key = from; key < to; key++) {
    data.set(found.key(key), (1 + key - from) * wide);
    data.set(found.value(key), (1 + key - from) * wide + width);
  }
  return { shape: [1 + to - from, wide], data, info: { width, value_width: found.valueWidth } };
}

function vectorsOf(layer: QueriesKeysLayer, head: number, query: number) {
  const { width, keyHeads, queries, keys, values } = layer.stored;
  const first = layer.keyHead(head) * layer.keys;
  const valueWidth = values ? values.length / (keyHeads * layer.keys) : 0;
  const cut = (array: Float32Array | undefined, row: number, wide: number) =>
    array?.subarray(row * wide, (row + 1) * wide) ?? new Float32Array(0);
  return {
    valueWidth,
    query: cut(queries, head * layer.queries + query, width),
    key: (key: number) => cut(keys, first + key, width),
    value: (key: number) => cut(values, first + key, valueWidth),
  };
}
