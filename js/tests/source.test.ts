import { effect, signal } from "@preact/signals-core";
import { expect, it } from "vitest";
import type { DataRequest, Head, Reply, WeightsRequest } from "../src/protocol.js";
import { ByteCache } from "../src/source/cache.js";
import type { Channel } from "../src/source/kernel.js";
import { type Block, CachedSource } from "../src/source.js";

/** Answers when it is told to; a weight is layer · 1000 + head · 100 + query · 10 + key. */
class FakeChannel implements Channel {
  readonly status = signal<"live">("live");
  asked: { request: DataRequest; signal: AbortSignal; answer: () => void; refuse: (error: Error) => void }[] =
    [];

  ask(request: DataRequest, signal: AbortSignal): Promise<Reply> {
    return new Promise((settle, fail) => {
      signal.addEventListener("abort", () => fail(signal.reason));
      const answer = () =>
        settle(
          request.type === "weights" ? weightsFor(request) : { shape: [1], data: new Float32Array([7]) },
        );
      this.asked.push({ request, signal, answer, refuse: fail });
    });
  }
}

function weightsFor({ heads, queries, keys }: WeightsRequest): Reply {
  const data: number[] = [];
  for (const [layer, head] of heads)
    for (let query = queries[0]; query < queries[1]; query++)
      for (let key = keys[0]; key < keys[1]; key++) data.push(layer * 1000 + head * 100 + query * 10 + key);
  return { shape: [heads.length, queries[1] - queries[0], keys[1] - keys[0]], data: Float32Array.from(data) };
}

const block = (queries: Block["queries"], keys: Block["keys"]): Block => ({
  kind: "self",
  measure: "weights",
  queries,
  keys,
});
const A: Head = [1, 2];
const B: Head = [1, 3];
const wanted = new AbortController().signal;

it("asks for several heads at once and keeps each", async () => {
  const channel = new FakeChannel();
  const source = new CachedSource(channel);
  const done = source.weights(block([0, 2], [0, 3]), [A, B], wanted);
  expect(channel.asked.map(({ request }) => (request as WeightsRequest).heads)).toEqual([[A, B]]);
  expect(source.pending.value).toBe(1);
  channel.asked[0]?.answer();
  await done;
  expect(source.pending.value).toBe(0);
  expect([...(source.peek(block([0, 2], [0, 3]), B) ?? [])]).toEqual([1300, 1301, 1302, 1310, 1311, 1312]);
});

it("reads a part of what it has, and asks only for heads it lacks", async () => {
  const channel = new FakeChannel();
  const source = new CachedSource(channel);
  const first = source.weights(block([0, 3], [0, 3]), [A], wanted);
  channel.asked[0]?.answer();
  await first;
  expect([...(source.peek(block([1, 3], [2, 3]), A) ?? [])]).toEqual([1212, 1222]);
  expect(source.peek(block([1, 4], [2, 3]), A)).toBeUndefined();
  void source.weights(block([1, 3], [0, 3]), [A, B], wanted);
  expect((channel.asked[1]?.request as WeightsRequest | undefined)?.heads).toEqual([B]);
});

it("joins a question that is already on its way", async () => {
  const channel = new FakeChannel();
  const source = new CachedSource(channel);
  const one = source.weights(block([0, 1], [0, 1]), [A, B], wanted);
  const two = source.weights(block([0, 1], [0, 1]), [B], wanted);
  expect(channel.asked.length).toBe(1);
  channel.asked[0]?.answer();
  await Promise.all([one, two]);
});

it("gives a question up only when nobody wants it", async () => {
  const channel = new FakeChannel();
  const source = new CachedSource(channel);
  const [first, second] = [new AbortController(), new AbortController()];
  const one = source.pair("self", 1, 2, first.signal);
  const two = source.pair("self", 1, 2, second.signal);
  first.abort();
  await expect(one).rejects.toThrow();
  expect(channel.asked[0]?.signal.aborted).toBe(false);
  second.abort();
  await expect(two).rejects.toThrow();
  expect(channel.asked[0]?.signal.aborted).toBe(true);
  await Promise.resolve();
  expect(source.pending.value).toBe(0);
});

it("asks again after a question was given up or refused", async () => {
  const channel = new FakeChannel();
  const source = new CachedSource(channel);
  const gone = new AbortController();
  const one = source.statistic("self", "entropy", gone.signal);
  gone.abort();
  await expect(one).rejects.toThrow();
  const two = source.statistic("self", "entropy", wanted);
  channel.asked[1]?.refuse(new Error("no"));
  await expect(two).rejects.toThrow("no");
  const three = source.statistic("self", "entropy", wanted);
  channel.asked[2]?.answer();
  expect([...(await three).data]).toEqual([7]);
  await source.statistic("self", "entropy", wanted);
  expect(channel.asked.length).toBe(3);
});

it("starts with what came along", async () => {
  const request = { type: "weights", ...block([0, 2], [0, 2]), heads: [A] } as const;
  const channel = new FakeChannel();
  const source = new CachedSource(channel, [
    { request: { ...request, heads: [A] }, reply: weightsFor({ ...request, heads: [A] }) },
  ]);
  await source.weights(block([1, 2], [0, 2]), [A], wanted);
  expect(channel.asked).toEqual([]);
});

it("forgets the oldest blocks beyond its bytes", async () => {
  const channel = new FakeChannel();
  const source = new CachedSource(channel, [], 40);
  for (const query of [0, 1, 2]) {
    const done = source.weights(block([query, query + 1], [0, 5]), [A], wanted);
    channel.asked[query]?.answer();
    await done;
  }
  const there = [0, 1, 2].map((query) => source.peek(block([query, query + 1], [0, 5]), A) !== undefined);
  expect(there).toEqual([false, true, true]);
});

it("counts bytes and spares what was read last", () => {
  const cache = new ByteCache(24);
  cache.set("a", new Float32Array(2));
  cache.set("b", new Float32Array(2));
  cache.get("a");
  cache.set("c", new Float32Array(2));
  expect(cache.set("d", new Float32Array(2))).toEqual(["b"]);
  expect(cache.bytes).toBe(24);
  cache.set("a", new Float32Array(1));
  expect(cache.bytes).toBe(20);
});

it("asking inside an effect does not make it run again", async () => {
  const asked: string[] = [];
  const channel = {
    status: signal("live" as const),
    ask: async () => {
      asked.push("statistic");
      return { shape: [1, 1], data: new Float32Array(1) };
    },
  };
  const source = new CachedSource(channel);
  const name = signal("entropy");
  const stop = effect(() => {
    source.statistic("self", name.value, new AbortController().signal).catch(() => {});
  });
  await new Promise((go) => setTimeout(go, 5));
  expect(asked.length).toBe(1);
  name.value = "sink_share";
  await new Promise((go) => setTimeout(go, 5));
  expect(asked.length).toBe(2);
  stop();
});
