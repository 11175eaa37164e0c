import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { PairRequest, WeightsRequest } from "../src/protocol.js";
import { KernelChannel, type Port } from "../src/source/kernel.js";

type Sent = { id: string; type: string; query?: number; queries?: number[] };

class FakeKernel implements Port {
  sent: Sent[] = [];
  fail: (() => unknown) | null = null;
  stopped = false;
  #handler: (content: unknown, buffers: readonly unknown[]) => void = () => {};

  send(content: unknown): unknown {
    this.sent.push(content as Sent);
    return this.fail?.();
  }

  listen(handler: (content: unknown, buffers: readonly unknown[]) => void): () => void {
    this.#handler = handler;
    return () => {
      this.stopped = true;
    };
  }

  answer(id: string, value = 1): void {
    this.#handler({ id, type: "pair", shape: [1, 1], dtype: "float32" }, [new Float32Array([value]).buffer]);
  }

  say(content: unknown): void {
    this.#handler(content, []);
  }

  asked(query: number): Sent[] {
    return this.sent.filter((message) => message.query === query);
  }
}

const pair = (query: number): PairRequest => ({ type: "pair", kind: "self", query, key: 0 });
const row = (query: number): WeightsRequest => ({
  type: "weights",
  kind: "self",
  measure: "weights",
  heads: [[0, 0]],
  queries: [query, query + 1],
  keys: [0, 1],
});
const wanted = new AbortController().signal;
let kernel: FakeKernel;
let life: AbortController;

function open(): KernelChannel {
  const channel = new KernelChannel(kernel, life.signal, 1000, 300);
  const hello = kernel.sent.shift() as Sent;
  expect(hello.type).toBe("hello");
  kernel.say({ id: hello.id, type: "hello", version: 1 });
  return channel;
}

beforeEach(() => {
  vi.useFakeTimers();
  kernel = new FakeKernel();
  life = new AbortController();
});
afterEach(() => {
  vi.useRealTimers();
});

it("answers a request with its numbers", async () => {
  const reply = open().ask(pair(3), wanted);
  kernel.answer(kernel.asked(3)[0]?.id ?? "", 0.5);
  expect([...(await reply).data]).toEqual([0.5]);
});

it("has two near questions in flight, and the newest waiting goes next", async () => {
  const channel = open();
  for (const from of [1, 2, 3, 4]) channel.ask(row(from), wanted).catch(() => {});
  const rows = () => kernel.sent.map(({ queries }) => queries?.[0]);
  expect(rows()).toEqual([1, 2]);
  kernel.answer(kernel.sent[0]?.id ?? "");
  expect(rows()).toEqual([1, 2, 4]);
});

it("sends what is near while what takes long is on its way, one of a lane at a time", async () => {
  const channel = open();
  for (const query of [1, 2]) channel.ask(pair(query), wanted).catch(() => {});
  for (const type of ["roles", "links"] as const) channel.ask({ type, kind: "self" }, wanted).catch(() => {});
  channel.ask({ ...row(5), queries: [0, 5000] }, wanted).catch(() => {});
  channel.ask(row(5), wanted).catch(() => {});
  expect(kernel.sent.map(({ type, queries }) => [type, queries?.[0]])).toEqual([
    ["pair", undefined],
    ["roles", undefined],
    ["weights", 5],
  ]);
  kernel.answer(kernel.sent[0]?.id ?? "");
  expect(kernel.sent.slice(3).map(({ queries }) => queries)).toEqual([[0, 5000]]);
});

it("waits for a long answer as long as the kernel is there, and never has it computed twice", async () => {
  const channel = open();
  const reply = channel.ask(pair(3), wanted);
  for (let minute = 0; minute < 5; minute++) {
    await vi.advanceTimersByTimeAsync(6_001);
    const hello = kernel.sent.filter(({ type }) => type === "hello").pop();
    kernel.say({ id: hello?.id, type: "hello", version: 1 });
    await vi.advanceTimersByTimeAsync(301);
  }
  expect(kernel.asked(3)).toHaveLength(1);
  expect(kernel.sent.filter(({ type }) => type === "hello")).toHaveLength(5);
  expect(channel.status.value).toBe("live");
  kernel.answer(kernel.asked(3)[0]?.id ?? "", 0.25);
  expect([...(await reply).data]).toEqual([0.25]);
});

it("takes back what it asks again", async () => {
  const channel = open();
  channel.ask(row(1), wanted).catch(() => {});
  await vi.advanceTimersByTimeAsync(1_001);
  const [first, cancel, again] = kernel.sent;
  expect(cancel).toEqual({ type: "cancel", id: first?.id });
  expect(again?.queries).toEqual([1, 2]);
});

it("never sends what was given up while it waited, and cancels what was on its way", async () => {
  const channel = open();
  const [flying, waiting] = [new AbortController(), new AbortController()];
  const first = channel.ask(pair(1), flying.signal);
  channel.ask(pair(2), wanted).catch(() => {});
  const third = channel.ask(pair(3), waiting.signal);
  waiting.abort();
  flying.abort();
  await expect(first).rejects.toThrow();
  await expect(third).rejects.toThrow();
  const id = kernel.asked(1)[0]?.id;
  expect(kernel.sent).toContainEqual({ type: "cancel", id });
  expect(kernel.asked(3)).toEqual([]);
});

it("asks once more after its patience, then says that the kernel does not answer", async () => {
  const channel = open();
  const reply = channel.ask(row(5), wanted);
  const refused = expect(reply).rejects.toThrow(/does not answer/);
  const sent = () => kernel.sent.filter((message) => message.type === "weights").length;
  expect(sent()).toBe(1);
  await vi.advanceTimersByTimeAsync(1001);
  expect(sent()).toBe(2);
  expect(channel.status.value).toBe("live");
  await vi.advanceTimersByTimeAsync(1001);
  await refused;
  expect(channel.status.value).toBe("silent");
});

it("an answer that comes too late shows that the kernel is there", async () => {
  const channel = open();
  const late = channel.ask(row(1), wanted);
  late.catch(() => {});
  const id = kernel.sent[0]?.id ?? "";
  await vi.advanceTimersByTimeAsync(2100);
  expect(channel.status.value).toBe("silent");
  kernel.answer("a stranger's");
  expect(channel.status.value).toBe("silent");
  kernel.answer(id);
  expect(channel.status.value).toBe("live");
});

it("does not wait long for the first sign of life", async () => {
  const channel = new KernelChannel(kernel, life.signal, 1000, 300);
  await vi.advanceTimersByTimeAsync(601);
  expect(kernel.sent.map(({ type }) => type)).toEqual(["hello", "hello"]);
  expect(channel.status.value).toBe("silent");
});

it("is live again as soon as something is answered", async () => {
  const channel = open();
  channel.ask(row(1), wanted).catch(() => {});
  await vi.advanceTimersByTimeAsync(2100);
  expect(channel.status.value).toBe("silent");
  const again = channel.ask(pair(2), wanted);
  kernel.answer(kernel.asked(2)[0]?.id ?? "");
  await again;
  expect(channel.status.value).toBe("live");
});

it.each([
  [
    "throws",
    () => {
      throw new Error("Cannot send");
    },
  ],
  ["rejects", () => Promise.reject(new Error("Failed to fetch"))],
])("a send that %s is a kernel that does not answer", async (_, fail) => {
  const channel = open();
  kernel.fail = fail;
  await expect(channel.ask(pair(1), wanted)).rejects.toThrow(/does not answer/);
  expect(channel.status.value).toBe("silent");
});

it("says that the kernel runs another version, whatever else is answered", async () => {
  const channel = new KernelChannel(kernel, life.signal, 1000, 300);
  const hello = kernel.sent.shift() as Sent;
  kernel.say({ id: hello.id, type: "hello", version: 2 });
  expect(channel.status.value).toBe("other");
  const reply = channel.ask(pair(2), wanted);
  kernel.answer(kernel.asked(2)[0]?.id ?? "");
  expect((await reply).shape).toEqual([1, 1]);
  expect(channel.status.value).toBe("other");
});

it("hands the kernel's refusal on, and ignores what is not for it", async () => {
  const channel = open();
  const reply = channel.ask(pair(1), wanted);
  const id = kernel.asked(1)[0]?.id ?? "";
  kernel.say("noise");
  kernel.say({ id: "somebody else's", type: "pair", shape: [1, 1], dtype: "float32" });
  kernel.say({ id, error: { name: "InputError", message: "There is no layer 9." } });
  await expect(reply).rejects.toThrow("There is no layer 9.");
  expect(channel.status.value).toBe("live");
});

it("a reply that does not fit its shape is an error", async () => {
  const reply = open().ask(pair(1), wanted);
  kernel.say({ id: kernel.asked(1)[0]?.id, type: "pair", shape: [2, 2], dtype: "float32" });
  await expect(reply).rejects.toThrow();
});

it("ends with its view", async () => {
  const reply = open().ask(pair(1), wanted);
  life.abort();
  await expect(reply).rejects.toThrow(/removed/);
  expect(kernel.stopped).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});
