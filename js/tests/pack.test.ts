import { describe, expect, it } from "vitest";
import { absence } from "../src/controls/absent.js";
import type { KindInfo, Stored } from "../src/protocol.js";
import { readPack } from "../src/source/pack.js";
import { readSafetensors } from "../src/source/safetensors.js";
import { SavedChannel } from "../src/source/saved.js";
import { readSeeds } from "../src/source/seeds.js";
import { StoredChannel } from "../src/source/stored.js";
import { captureInfo, kindInfo, noise } from "./samples.js";

const wanted = new AbortController().signal;

function write(tensors: Record<string, [string, number[], ArrayBufferView]>, page: unknown): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { page: JSON.stringify(page) } };
  let at = 0;
  for (const [name, [dtype, shape, data]] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  at = 8 + text.length;
  for (const [, , data] of Object.values(tensors)) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return out;
}

function sample(): Uint8Array {
  const kind = kindInfo({ heads: [2, 1] });
  const packed = Uint16Array.from({ length: 25 }, (_, at) => at * 100);
  const entry = { type: "statistic", kind: "self", statistic: "entropy" };
  return write(
    {
      odd: ["U8", [3], new Uint8Array(3)],
      q: ["F32", [2, 5, 3], noise(30, 1)],
      k: ["F32", [1, 5, 3], noise(15, 2)],
      to: ["I32", [5], new Int32Array([1, 2, 3, 4, 5])],
      from: ["I32", [5], new Int32Array(5)],
      w: ["U16", [1, 25], packed],
      e: ["F32", [2, 2], new Float32Array([0.1, 0.2, 0.3, Number.NaN])],
    },
    {
      capture: captureInfo(kind),
      state: { view: "matrix" },
      first: [{ request: entry, reply: { ...entry, shape: [2, 2], dtype: "float32", data: "e" } }],
      layers: [
        {
          kind: "self",
          layer: 0,
          form: "queries_keys",
          heads: 2,
          key_heads: 1,
          width: 3,
          scale: 1,
          softcap: null,
          sinks: null,
          queries: "q",
          keys: "k",
          mask: 1,
        },
        { kind: "self", layer: 2, form: "weights", heads: 1, weights: "w", mask: 0 },
      ],
      masks: [{ form: "full" }, { form: "interval", from: "from", to: "to" }],
    },
  );
}

describe("a stored page", () => {
  it("reads its description, its state and what it would ask first", () => {
    const pack = readPack(sample());
    expect(pack.capture.kinds[0]?.heads).toEqual([2, 1]);
    expect(pack.state).toEqual({ view: "matrix" });
    expect(pack.seeds[0]?.reply.shape).toEqual([2, 2]);
  });

  it("answers weights of both forms, in the order asked", async () => {
    const channel = new StoredChannel(readPack(sample()));
    const ask = (heads: [number, number][], queries: [number, number]) =>
      channel.ask(
        { type: "weights", kind: "self", measure: "weights", heads, queries, keys: [0, 5] },
        wanted,
      );
    const reply = await ask(
      [
        [2, 0],
        [0, 1],
      ],
      [1, 3],
    );
    expect(reply.shape).toEqual([2, 2, 5]);
    expect(reply.data[0]).toBe(Math.fround(500 / 65535));
    const row = [...reply.data.subarray(15, 20)];
    expect(row.slice(3).every(Number.isNaN)).toBe(true);
    expect(row.slice(0, 3).reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
    const single = await channel.ask(
      { type: "weights", kind: "self", measure: "weights", heads: [[0, 1]], queries: [2, 3], keys: [1, 2] },
      wanted,
    );
    expect(single.data[0]).toBeCloseTo(row[1] ?? -1, 6);
  });

  it("answers a pair over all heads, with no number where there is no head", async () => {
    const reply = await new StoredChannel(readPack(sample())).ask(
      { type: "pair", kind: "self", query: 1, key: 0 },
      wanted,
    );
    expect(reply.shape).toEqual([2, 2]);
    expect(reply.data[2]).toBe(Math.fround(500 / 65535));
    expect(reply.data[3]).toBeNaN();
    expect(reply.data[0]).toBeGreaterThan(0);
  });

  it("answers an overview", async () => {
    const reply = await new StoredChannel(readPack(sample())).ask(
      { type: "overview", kind: "self", layer: 2, head: 0, size: 3 },
      wanted,
    );
    expect(reply.shape).toEqual([3, 3]);
    expect(reply.data[0]).toBe(Math.fround(600 / 65535));
  });

  it("refuses in words what it does not hold", async () => {
    const channel = new StoredChannel(readPack(sample()));
    const base = { type: "weights", kind: "self", heads: [[2, 0]], queries: [0, 1], keys: [0, 5] } as const;
    await expect(channel.ask({ ...base, heads: [[2, 0]], measure: "scores" }, wanted)).rejects.toThrow(
      /no scores/,
    );
    await expect(channel.ask({ ...base, heads: [[2, 9]], measure: "weights" }, wanted)).rejects.toThrow(
      /1 heads/,
    );
    await expect(channel.ask({ ...base, heads: [[1, 0]], measure: "weights" }, wanted)).rejects.toThrow(
      /layer 1/,
    );
    await expect(channel.ask({ type: "statistic", kind: "self", statistic: "x" }, wanted)).rejects.toThrow(
      /“x”/,
    );
    await expect(new SavedChannel().ask()).rejects.toThrow(/not stored in this notebook/);
  });

  it("answers for the heads it holds, and names those it does not", async () => {
    const kind = kindInfo({ layers: [0, 1, 2], heads: [3, 3, 3] });
    const weights = { form: "weights", heads: 3, weights: "w", mask: 0 };
    const vectors = {
      form: "queries_keys",
      heads: 3,
      key_heads: 2,
      width: 3,
      scale: 1,
      softcap: null,
      mask: 0,
    };
    const whole = { kind: "self", layer: 0, ...weights, weights: "all" };
    const some = { kind: "self", layer: 1, ...vectors, sinks: null, queries: "q", keys: "k", only: [0, 2] };
    const tensors = {
      all: ["U16", [3, 25], Uint16Array.from({ length: 75 }, (_, at) => at * 100)],
      q: ["F32", [2, 5, 3], noise(30, 1)],
      k: ["F32", [2, 5, 3], noise(30, 2)],
    } satisfies Record<string, [string, number[], ArrayBufferView]>;
    const page = { capture: captureInfo(kind), layers: [whole, some], masks: [{ form: "full" }] };
    const pack = readPack(write(tensors, page), "notebook");
    const channel = new StoredChannel(pack);
    const ask = (...heads: [number, number][]) =>
      channel.ask(
        { type: "weights", kind: "self", measure: "weights", heads, queries: [0, 1], keys: [0, 5] },
        wanted,
      );
    const sum = (row: Float32Array) => row.reduce((total, value) => total + value, 0);
    expect(sum((await ask([1, 2])).data)).toBeCloseTo(1, 6);
    expect((await ask([1, 2])).data).not.toEqual((await ask([1, 0])).data);
    await expect(ask([1, 1])).rejects.toThrow(
      "Head 1 of layer 1 is not stored in this notebook; run the cell to see it.",
    );
    await expect(ask([2, 0])).rejects.toThrow(
      "Layer 2 is not stored in this notebook; run the cell to see it.",
    );
    await expect(channel.ask({ type: "pair", kind: "self", query: 1, key: 0 }, wanted)).rejects.toThrow(
      "Head 1 of layer 1 is not stored",
    );
    const overviews = await channel.ask(
      {
        type: "overviews",
        kind: "self",
        heads: [
          [0, 0],
          [2, 0],
          [1, 2],
        ],
        size: 5,
      },
      wanted,
    );
    expect(overviews.shape).toEqual([3, 5, 5]);
    expect([0, 25, 50].map((at) => Number.isNaN(overviews.data[at]))).toEqual([false, true, false]);
    const { stored } = pack.capture.kinds[0] as KindInfo;
    expect(stored?.text).toBe("1 of 3 layers and 2 heads stored");
    const said = (...heads: [number, number][]) => absence(stored as Stored, heads);
    expect(said([0, 1], [1, 2])).toBe("");
    expect(said([2, 0], [2, 1])).toBe("Layer 2 is not stored in this notebook; run the cell to see it.");
    expect(said([1, 1], [2, 1])).toBe(
      "Head 1 of layer 1 and layer 2 are not stored in this notebook; run the cell to see them.",
    );
  });

  it("stops when it is no longer wanted", async () => {
    const gone = new AbortController();
    const reply = new StoredChannel(readPack(sample())).ask(
      { type: "pair", kind: "self", query: 1, key: 0 },
      gone.signal,
    );
    gone.abort();
    await expect(reply).rejects.toThrow();
  });
});

describe("damaged data", () => {
  const whole = sample();

  it("is refused wherever it was cut", () => {
    for (const length of [0, 7, 8, 20, whole.length - 200, whole.length - 1]) {
      const read = () => {
        const pack = readPack(whole.slice(0, length));
        pack.layer("self", 0);
        pack.layer("self", 2);
        if (pack.seeds.length === 0) throw new Error("damaged: no seeds");
      };
      expect(read, `cut at ${length}`).toThrow(/damaged/);
    }
  });

  it("is refused if the header is not a header", () => {
    const text = new TextEncoder().encode("[1]");
    const bytes = new Uint8Array(8 + text.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
    bytes.set(text, 8);
    expect(() => readSafetensors(bytes)).toThrow(/not an object/);
    bytes[8] = 0x21;
    expect(() => readSafetensors(bytes)).toThrow(/not JSON/);
  });

  it("is refused if a tensor is missing or has another size", () => {
    const file = readSafetensors(write({ a: ["F32", [3], new Float32Array(2)] }, {}));
    expect(() => file.tensor("a")).toThrow(/size of its shape/);
    expect(() => file.tensor("b")).toThrow(/missing/);
    expect(() => readPack(write({}, {}))).toThrow(/layers are missing/);
  });
});

it("seeds that are not understood are left out", () => {
  const request = { type: "pair", kind: "self", query: 0, key: 0, id: "x" };
  const fine = { request, reply: { shape: [1, 2], data: new Float32Array([1, 2]) } };
  const seeds = readSeeds([
    fine,
    { request, reply: { shape: [3], data: new Float32Array(2) } },
    { request: {}, reply: {} },
    7,
  ]);
  expect(seeds.length).toBe(1);
  expect(seeds[0]?.request).toEqual({ type: "pair", kind: "self", query: 0, key: 0 });
  expect(readSeeds(null)).toEqual([]);
});
