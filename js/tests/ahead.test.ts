import { signal } from "@preact/signals-core";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { beside, fetchAhead } from "../src/ahead.js";
import type { Context } from "../src/context.js";
import { Data } from "../src/data.js";
import type { Head } from "../src/protocol.js";
import { Scheduler } from "../src/scheduler.js";
import type { Block } from "../src/source.js";
import { State } from "../src/state.js";
import { captureInfo, kindInfo } from "./samples.js";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function opened(tokens: number) {
  const { signal: life } = new AbortController();
  const text = Array.from({ length: tokens }, (_, at) => ` t${at}`);
  const queries = { text, special: [], words: text.map((_, at) => at), segments: null };
  const kind = kindInfo({ layers: [0, 1], heads: [4, 2], queries, causal: true });
  const ahead = vi.fn(async (_block: Block, _heads: Head[], _signal: AbortSignal) => {});
  const source = {
    status: signal("live"),
    pending: signal(0),
    peek: vi.fn(() => undefined),
    weights: vi.fn(() => new Promise(() => {})),
    ahead,
  };
  const state = new State({ ...captureInfo(), kinds: [kind] }, { kind: kind.kind, heads: [[0, 1]] });
  const scheduler = new Scheduler(life);
  const data = new Data(state, source as never, life);
  fetchAhead({ state, source, data, scheduler, life } as unknown as Context);
  const fetched = () => ahead.mock.calls.map(([{ queries: rows }, [head]]) => [rows, head]);
  return { state, source, data, fetched, ahead };
}

it("brings the rows of the heads and layers beside the selected one, once nothing is asked", async () => {
  const { state, source, data, fetched } = opened(4);
  data.need("links", [0]);
  source.pending.value = 1;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(fetched()).toEqual([]);
  source.pending.value = 0;
  await vi.advanceTimersByTimeAsync(301);
  expect(fetched()).toEqual([
    [
      [0, 4],
      [0, 2],
    ],
    [
      [0, 4],
      [1, 1],
    ],
    [
      [0, 4],
      [0, 0],
    ],
  ]);
  state.set({ query: 2 });
  const [, , given] = source.ahead.mock.calls[0] as unknown as [Block, Head[], AbortSignal];
  expect(given.aborted).toBe(true);
});

it("goes the reader's way first, and not further than a megabyte", async () => {
  const { state, data, fetched } = opened(20_000);
  data.need("links", [10_000]);
  data.need("links", [10_008]);
  state.set({ query: 3 });
  await vi.advanceTimersByTimeAsync(301);
  expect(fetched()).toEqual([
    [
      [10_016, 10_024],
      [0, 1],
    ],
    [
      [10_008, 10_016],
      [0, 2],
    ],
    [
      [10_008, 10_016],
      [1, 1],
    ],
  ]);
});

it("stays within a model of unequal layers", () => {
  expect(beside(kindInfo({ layers: [3, 7], heads: [4, 2] }), [3, 3])).toEqual([[3, 2]]);
  expect(beside(kindInfo({ layers: [3, 7], heads: [4, 2] }), [7, 1])).toEqual([
    [7, 0],
    [3, 1],
  ]);
});
