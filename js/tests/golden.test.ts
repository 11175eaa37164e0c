import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { float32 } from "../src/decode.js";
import type { DataRequest, Head } from "../src/protocol.js";
import { KernelChannel, type Port } from "../src/source/kernel.js";
import { readPack } from "../src/source/pack.js";
import { readSafetensors } from "../src/source/safetensors.js";
import { StoredChannel } from "../src/source/stored.js";

const FOLDER = join(import.meta.dirname, "../../tests/wire/golden");
const read = (name: string) => new Uint8Array(readFileSync(join(FOLDER, name)));
const CASES = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".page.safetensors"))
  .map((name) => name.replace(".page.safetensors", ""));
const life = new AbortController().signal;

function worst(got: Float32Array, expected: Float32Array): number {
  expect(got.length).toBe(expected.length);
  let most = 0;
  got.forEach((value, at) => {
    const true_ = expected[at] as number;
    expect(Number.isNaN(value), `masked at ${at}`).toBe(Number.isNaN(true_));
    if (!Number.isNaN(value)) most = Math.max(most, Math.abs(value - true_));
  });
  return most;
}

test("there are golden files of every form", () => {
  expect(CASES).toEqual(
    expect.arrayContaining([
      "contributions",
      "full",
      "causal",
      "bits",
      "softcap",
      "sinks",
      "bias",
      "packed",
      "given",
    ]),
  );
});

test.each(CASES)("%s: the page computes what Python computed", async (name) => {
  const pack = readPack(read(`${name}.page.safetensors`));
  const expected = readSafetensors(read(`${name}.expected.safetensors`));
  const channel = new StoredChannel(pack);
  const kind = pack.capture.kinds[0];
  if (!kind) throw new Error("no kind");
  for (const [index, layer] of kind.layers.entries()) {
    const heads = Array.from({ length: kind.heads[index] as number }, (_, head): Head => [layer, head]);
    const n = kind.queries.text.length;
    const first = name.startsWith("packed") || name === "given" ? ["weights"] : ["weights", "scores"];
    const lengths = name === "contributions" ? ["value_weighted", "norm_weighted"] : [];
    expect(kind.measures).toEqual([...first, ...(name.startsWith("bias") ? ["value_weighted"] : lengths)]);
    for (const measure of kind.measures) {
      const reply = await channel.ask(
        { type: "weights", kind: kind.kind, measure, heads, queries: [0, n], keys: [0, n] },
        life,
      );
      expect(reply.shape).toEqual([heads.length, n, n]);
      const truth = float32(expected.tensor(`${layer}.${measure}`).bytes);
      expect(worst(reply.data, truth)).toBeLessThan(
        name.startsWith("packed") || name === "given" ? 8e-6 : 2e-6,
      );
    }
  }
});

test("what the page asks is what Python is tested to answer", async () => {
  const sent: Record<string, unknown>[] = [];
  const port: Port = {
    send: (content) => {
      sent.push(content as Record<string, unknown>);
      setTimeout(() =>
        answer({ id: (content as { id: string }).id, error: { name: "E", message: "seen" } }, []),
      );
    },
    listen: (handler) => {
      answer = handler;
      return () => {};
    },
  };
  let answer: (content: unknown, buffers: readonly unknown[]) => void = () => {};
  const channel = new KernelChannel(port, life);
  const requests: DataRequest[] = [
    { type: "weights", kind: "self", measure: "weights", heads: [[0, 1]], queries: [0, 8], keys: [0, 8] },
    {
      type: "weights",
      kind: "self",
      measure: "scores",
      heads: [
        [0, 1],
        [1, 3],
      ],
      queries: [2, 3],
      keys: [0, 8],
    },
    { type: "overview", kind: "self", layer: 1, head: 0, size: 512 },
    { type: "statistic", kind: "self", statistic: "entropy" },
    { type: "pair", kind: "self", query: 5, key: 2 },
    { type: "steps", kind: "self", layer: 1, head: 2, query: 5 },
    { type: "vectors", kind: "self", layer: 1, head: 2, query: 5, keys: [2, 8] },
    {
      type: "overviews",
      kind: "self",
      heads: [
        [0, 1],
        [1, 0],
      ],
      size: 4,
    },
    { type: "likeness", kind: "self" },
    { type: "roles", kind: "self" },
    { type: "flow", kind: "self", query: 5, level: 2, edges: 9, excess: true },
    { type: "evolution", kind: "self", query: 5, head: null },
    { type: "picture", kind: "self", number: 0 },
    { type: "figure", kind: "self", state: { view: "links", heads: [[1, 2]] }, choices: { keys: [0, 4] } },
    { type: "findings", kind: "self" },
    { type: "links", kind: "self" },
    { type: "ablate", kind: "self", heads: [[1, 2]], query: 5 },
    { type: "tokens", kind: "self", side: "keys" },
  ];
  for (const request of requests) await channel.ask(request, life).catch(() => {});
  const leaving = new AbortController();
  const last = channel.ask({ type: "pair", kind: "self", query: 1, key: 0 }, leaving.signal).catch(() => {});
  leaving.abort();
  await last;
  const named = sent.map((message) => ({ ...message, id: "golden" }));
  const path = join(FOLDER, "requests.json");
  const text = `${JSON.stringify(named, null, 1)}\n`;
  if (process.env.GOLDEN) writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, "utf8"));
});
