import { describe, expect, it } from "vitest";
import { PackedWeightsLayer, type QueriesKeys, QueriesKeysLayer } from "../src/attention/layer.js";
import type { Mask } from "../src/attention/mask.js";
import { Overview } from "../src/attention/overview.js";
import { noise } from "./samples.js";

const [N, K, WIDTH] = [5, 7, 4];

const bits = (() => {
  const out = new Uint8Array(N);
  for (let query = 0; query < N; query++)
    for (let key = 0; key < K; key += 2) out[query] = (out[query] ?? 0) | (0x80 >> key);
  return out;
})();
const MASKS: Record<string, [Mask, (query: number, key: number) => boolean]> = {
  full: [{ form: "full" }, () => true],
  causal: [
    { form: "interval", from: new Int32Array(N), to: Int32Array.from({ length: N }, (_, q) => q + 1) },
    (query, key) => key <= query,
  ],
  window: [
    {
      form: "interval",
      from: Int32Array.from({ length: N }, (_, q) => Math.max(0, q - 1)),
      to: Int32Array.from({ length: N }, (_, q) => q + 2),
    },
    (query, key) => key >= query - 1 && key < query + 2,
  ],
  bits: [{ form: "bits", bits }, (_, key) => key % 2 === 0],
};

function stored(over: Partial<QueriesKeys> = {}): QueriesKeys {
  const heads = 4;
  const keyHeads = over.keyHeads ?? heads;
  return {
    heads,
    keyHeads,
    width: WIDTH,
    scale: 0.5,
    softcap: null,
    sinks: null,
    queries: noise(heads * N * WIDTH, 1),
    keys: noise(keyHeads * K * WIDTH, 2),
    mask: { form: "full" },
    ...over,
  };
}

function naive(
  data: QueriesKeys,
  head: number,
  query: number,
  sees: (query: number, key: number) => boolean,
) {
  const group = data.heads / data.keyHeads;
  const scores = Array.from({ length: K }, (_, key) => {
    let dot = 0;
    for (let at = 0; at < WIDTH; at++) {
      dot +=
        (data.queries[(head * N + query) * WIDTH + at] as number) *
        (data.keys[(Math.floor(head / group) * K + key) * WIDTH + at] as number);
    }
    const score = dot * data.scale;
    return data.softcap === null ? score : data.softcap * Math.tanh(score / data.softcap);
  });
  let total = data.sinks ? Math.exp(data.sinks[head] as number) : 0;
  scores.forEach((score, key) => {
    if (sees(query, key)) total += Math.exp(score);
  });
  return scores.map((score, key) => (sees(query, key) ? { score, weight: Math.exp(score) / total } : null));
}

const CASES: [string, Partial<QueriesKeys>][] = [
  ["plain", {}],
  ["grouped keys", { keyHeads: 2 }],
  ["one key head", { keyHeads: 1 }],
  ["a soft cap", { softcap: 0.7 }],
  ["sinks", { sinks: new Float32Array([0.5, -3, 9, 0]) }],
];

describe.each(Object.entries(MASKS))("queries and keys, %s mask", (_, [mask, sees]) => {
  it.each(CASES)("%s", (_name, over) => {
    const data = stored({ mask, ...over });
    const layer = new QueriesKeysLayer(data);
    const [weights, scores] = [new Float32Array(K), new Float32Array(K)];
    for (let head = 0; head < data.heads; head++) {
      for (let query = 0; query < N; query++) {
        const truth = naive(data, head, query, sees);
        layer.weights(head, query, weights);
        layer.scores(head, query, scores);
        truth.forEach((cell, key) => {
          if (cell === null) {
            expect([weights[key], scores[key], layer.weight(head, query, key)]).toEqual([
              Number.NaN,
              Number.NaN,
              Number.NaN,
            ]);
            return;
          }
          expect(weights[key]).toBeCloseTo(cell.weight, 6);
          expect(scores[key]).toBeCloseTo(cell.score, 5);
          expect(layer.weight(head, query, key)).toBeCloseTo(cell.weight, 6);
        });
      }
    }
  });
});

it("one cell is exact before its row was ever computed", () => {
  const data = stored();
  expect(new QueriesKeysLayer(data).weight(1, 3, 2)).toBeCloseTo(
    naive(data, 1, 3, () => true)[2]?.weight ?? -1,
    6,
  );
});

it("a query that sees nothing has no numbers", () => {
  const mask: Mask = { form: "interval", from: new Int32Array(N), to: new Int32Array(N) };
  const row = new Float32Array(K);
  new QueriesKeysLayer(stored({ mask })).weights(0, 0, row);
  expect([...row].every(Number.isNaN)).toBe(true);
});

it("large scores do not overflow", () => {
  const row = new Float32Array(K);
  new QueriesKeysLayer(stored({ scale: 4000 })).weights(0, 0, row);
  expect(row.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
});

it.each(Object.entries(MASKS))("packed weights, %s mask", (_, [mask, sees]) => {
  const rows: number[] = [];
  for (let head = 0; head < 2; head++)
    for (let query = 0; query < N; query++)
      for (let key = 0; key < K; key++) if (sees(query, key)) rows.push(head * 10000 + query * 100 + key);
  const layer = new PackedWeightsLayer(2, N, K, mask, Uint16Array.from(rows));
  const row = new Float32Array(K);
  for (const head of [0, 1]) {
    for (let query = 0; query < N; query++) {
      layer.weights(head, query, row);
      for (let key = 0; key < K; key++) {
        const truth = sees(query, key) ? Math.fround((head * 10000 + query * 100 + key) / 65535) : Number.NaN;
        expect(row[key]).toBe(truth);
        expect(Math.fround(layer.weight(head, query, key))).toBe(truth);
      }
    }
  }
  expect(() => layer.scores()).toThrow(/no scores/);
  expect(() => new PackedWeightsLayer(2, N, K, mask, Uint16Array.from(rows.slice(1)))).toThrow(/cannot hold/);
});

it("an overview holds the largest weight of each cell", () => {
  const [causal] = MASKS.causal as [Mask, unknown];
  const layer = new QueriesKeysLayer(stored({ mask: causal }));
  const picture = new Overview(layer, 2, 3);
  for (let query = 0; query < N; query++) picture.add(query);
  expect(picture.shape).toEqual([3, 3]);
  const row = new Float32Array(K);
  const cells = Array.from({ length: 9 }, () => Number.NaN);
  for (let query = 0; query < N; query++) {
    layer.weights(2, query, row);
    row.forEach((weight, key) => {
      const at = Math.floor(query / 2) * 3 + Math.floor(key / 3);
      if (!Number.isNaN(weight) && !(weight <= (cells[at] as number))) cells[at] = weight;
    });
  }
  expect([...picture.cells]).toEqual(cells);
  expect(cells[2]).toBeNaN();
});
