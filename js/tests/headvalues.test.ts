import { signal } from "@preact/signals-core";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Context } from "../src/context.js";
import { headValues } from "../src/controls/headvalues.js";
import type { Reply } from "../src/protocol.js";
import { Scheduler } from "../src/scheduler.js";
import { State } from "../src/state.js";
import { captureInfo } from "./samples.js";

const reply = (shape: number[]) =>
  ({ shape, data: new Float32Array(shape.reduce((all, one) => all * one, 1)) }) as unknown as Reply;

function asking(info = captureInfo()) {
  const { signal: life } = new AbortController();
  const source = {
    status: signal("live"),
    pair: vi.fn(async () => reply([3, 4])),
    ask: vi.fn(async () => reply([3, 4, 3])),
    statistic: vi.fn(async () => reply([3, 4])),
  };
  const initial = { kind: "self", heads: [[2, 1]], layer: 2 };
  const state = new State(info, initial, () => {});
  const scheduler = new Scheduler(life);
  const values = headValues({ state, source, scheduler, life } as unknown as Context);
  return { source, state, values };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it("a question that was put off does not take the place of the one asked since", async () => {
  const { source, state, values } = asking();
  state.set({ query: 1, key: 0, color_by: "pair" });
  await vi.advanceTimersByTimeAsync(10);
  state.receive("color_by", "role");
  await vi.advanceTimersByTimeAsync(500);
  expect(values.question.value.name).toBe("role");
  expect(values.byRole).toBe(true);
  expect(source.pair).not.toHaveBeenCalled();

  state.receive("color_by", "pair");
  await vi.advanceTimersByTimeAsync(500);
  expect(source.pair).toHaveBeenCalledOnce();
  expect(values.byRole).toBe(false);
});

it("numbers go by the name of the question they answer", async () => {
  const { state, values } = asking();
  await vi.advanceTimersByTimeAsync(0);
  const before = values.label;
  expect(before).toBe(values.question.value.label);
  state.set({ query: 1, key: 0, color_by: "pair" });
  expect(values.question.value.name).toBe("pair");
  expect(values.label).toBe(before);
  await vi.advanceTimersByTimeAsync(500);
  expect(values.label).toBe(values.question.value.label);
});

it("no numbers are left where a question is refused", async () => {
  const { source, state, values } = asking();
  await vi.advanceTimersByTimeAsync(0);
  expect(values.valueAt(0, 0)).toBe(0);
  source.pair.mockRejectedValueOnce(new Error("Layer 1 is not stored."));
  state.set({ query: 1, key: 0, color_by: "pair" });
  await vi.advanceTimersByTimeAsync(500);
  expect(values.valueAt(0, 0)).toBeUndefined();
  expect(values.domain).toBeUndefined();
  expect(state.page.message.value).toBe("Layer 1 is not stored.");
});

it("every weight of a big model is not looked at until somebody says so", async () => {
  const info = captureInfo();
  const [kind] = info.kinds;
  if (!kind) throw new Error("no kind");
  kind.queries = { ...kind.queries, text: Array(32_768).fill(" a"), words: Array(32_768).fill(-1) };
  const { source, state, values } = asking(info);
  await vi.advanceTimersByTimeAsync(500);
  expect(values.withheld.value).toBe(true);
  expect(source.statistic).not.toHaveBeenCalled();
  state.set({ query: 1, key: 0 });
  await vi.advanceTimersByTimeAsync(500);
  expect(values.withheld.value).toBe(false);
  expect(source.pair).toHaveBeenCalledOnce();
  state.set({ query: null, key: null });
  await vi.advanceTimersByTimeAsync(500);
  expect(values.valueAt(0, 0)).toBeUndefined();
  values.insist();
  await vi.advanceTimersByTimeAsync(500);
  expect(values.withheld.value).toBe(false);
  expect(source.statistic).toHaveBeenCalledOnce();
  expect(values.valueAt(0, 0)).toBe(0);
});
