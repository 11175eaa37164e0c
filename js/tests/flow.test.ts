import { describe, expect, test } from "vitest";
import { Descent, mixed, uniform } from "../src/attention/flow.js";
import type { Mask } from "../src/attention/mask.js";
import type { FlowRequest } from "../src/protocol.js";
import { ALL_ROWS, type Routes, routesOf, shownLinks, shownRows } from "../src/views/flow-model.js";
import { noise } from "./samples.js";

const N = 6;
const FULL: Mask = { form: "full" };
const CAUSAL: Mask = {
  form: "interval",
  from: new Int32Array(N),
  to: Int32Array.from({ length: N }, (_, at) => at + 1),
};

/** Random rows that sum to 1 over the keys a mask leaves. */
function weights(mask: Mask, seed: number): Float32Array[] {
  return Array.from({ length: N }, (_, token) => {
    const even = uniform(mask, token, N);
    const raw = noise(N, seed + token).map((value, key) =>
      even[key] === 0 ? Number.NaN : Math.exp(2 * value),
    );
    const total = raw.reduce((sum, value) => (Number.isNaN(value) ? sum : sum + value), 0);
    return raw.map((value) => value / total);
  });
}

function descend(mask: Mask, layers: Float32Array[][], query: number, keep = 99, excess = false): Descent {
  const descent = new Descent(N, layers.length, query, keep, excess);
  for (let row = layers.length - 1; row >= 0; row--) {
    for (let token = 0; token < N; token++) {
      const mean = layers[row]?.[token] as Float32Array;
      descent.pass(row, token, mixed(mean, token), uniform(mask, token, N));
    }
    descent.settle(row);
  }
  return descent;
}

/** One row of the product of dense matrices. */
function product(rows: ((token: number) => Float32Array)[], query: number): number[] {
  let now: number[] = Array.from({ length: N }, (_, at) => (at === query ? 1 : 0));
  for (const row of [...rows].reverse()) {
    const next = new Array<number>(N).fill(0);
    now.forEach((share, token) => {
      row(token).forEach((value, key) => {
        next[key] = (next[key] as number) + share * value;
      });
    });
    now = next;
  }
  return now;
}

describe.each([
  ["full", FULL],
  ["causal", CAUSAL],
])("%s", (_, mask) => {
  const layers = [weights(mask, 3), weights(mask, 30), weights(mask, 300)];
  const descent = descend(mask, layers, 4);

  test("shares at the bottom are the row of the product of all layers", () => {
    const real = product(
      layers.map((layer) => (token) => mixed(layer[token] as Float32Array, token)),
      4,
    );
    const even = product(
      layers.map(() => (token) => uniform(mask, token, N)),
      4,
    );
    for (let key = 0; key < N; key++) {
      expect(descent.shares[key]).toBeCloseTo(real[key] as number, 6);
      expect(descent.chances[key]).toBeCloseTo(even[key] as number, 6);
    }
  });

  test("each level sums to 1, and so do all links of a layer", () => {
    for (let level = 0; level <= layers.length; level++) {
      const sum = descent.shares.slice(level * N, (level + 1) * N).reduce((total, share) => total + share, 0);
      expect(sum).toBeCloseTo(1, 6);
    }
    for (const links of descent.links)
      expect(links.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6);
  });
});

test("uniform layers give (1 − 2⁻ᴸ) of the mean and 2⁻ᴸ of the token itself", () => {
  const even = Array.from({ length: N }, () => new Float32Array(N).fill(1 / N));
  const descent = descend(FULL, [even, even, even], 2);
  for (let key = 0; key < N; key++)
    expect(descent.shares[key]).toBeCloseTo((1 - 1 / 8) / N + (key === 2 ? 1 / 8 : 0), 6);
});

test("the strongest links are kept, whatever the order they came in", () => {
  const layers = [weights(FULL, 5), weights(FULL, 50)];
  const all = descend(FULL, layers, 1);
  const few = descend(FULL, layers, 1, 4);
  expect(few.links).toEqual(all.links.map((links) => links.slice(0, 4)));
  const strange = descend(FULL, layers, 1, 4, true).links[0] ?? [];
  const most = Math.max(...(all.links[0] ?? []).map(({ share, chance }) => Math.abs(share - chance)));
  expect(Math.abs((strange[0]?.share ?? 0) - (strange[0]?.chance ?? 0))).toBeCloseTo(most, 9);
});

test("a token that sees nothing stays itself", () => {
  expect([...mixed(new Float32Array(3).fill(Number.NaN), 1)]).toEqual([0, 1, 0]);
});

const request: FlowRequest = { type: "flow", kind: "self", query: 0, level: 1, edges: 3, excess: false };

function routes(tokens: number, links: number[][], shares: number[] = []): Routes {
  const nodes = new Float32Array(2 * tokens);
  nodes.set(shares);
  const data = Float32Array.from([...nodes, ...new Float32Array(2 * tokens), ...links.flat()]);
  const info = { levels: 2, tokens, edges: links.length };
  return routesOf({
    request: { ...request, edges: links.length },
    reply: { shape: [data.length], data, info },
  });
}

test("links below a part of the strongest are not shown, and what is shown is summed", () => {
  const found = routes(4, [
    [0, 1, 0.5, 0],
    [0, 2, 0.25, 0],
    [0, 3, 0.125, 0],
    [0, 0, 0, 0],
  ]);
  expect(found.links[0]).toHaveLength(3);
  const shown = shownLinks(found, 0.4);
  expect(shown.links[0]?.map(({ below }) => below)).toEqual([1, 2]);
  expect(shown.carried).toBeCloseTo(0.75, 6);
});

test("long texts show the tokens that hold most, and say what the others hold", () => {
  const shares = Array.from({ length: 200 }, (_, at) => (at === 150 ? 0.5 : 0.5 / 199));
  const { rows, missing } = shownRows(routes(200, [[0, 0, 1, 1]], shares), [7]);
  expect(rows).toHaveLength(ALL_ROWS);
  expect(rows).toContain(150);
  expect(rows).toContain(7);
  expect(missing).toBeCloseTo((200 - ALL_ROWS) * (0.5 / 199), 4);
  expect(shownRows(routes(5, [[0, 0, 1, 1]]), []).missing).toBe(0);
});
