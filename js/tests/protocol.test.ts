import { describe, expect, it } from "vitest";
import { isReply, isRequest, isSpan, readCapture } from "../src/protocol-check.js";
import { captureInfo, kindInfo } from "./samples.js";

describe("readCapture", () => {
  it("accepts what the contract describes", () => {
    expect(readCapture(captureInfo())).toEqual(captureInfo());
  });

  it.each([
    ["nothing", undefined],
    ["another version", { ...captureInfo(), version: 2 }],
    ["no kinds", { ...captureInfo(), kinds: [] }],
    ["layers and heads of unequal length", { ...captureInfo(), kinds: [kindInfo({ heads: [2] })] }],
    ["tokens that are not texts", { ...captureInfo(), kinds: [{ ...kindInfo(), queries: { text: [1] } }] }],
  ])("refuses %s", (_, value) => {
    expect(() => readCapture(value)).toThrow(/not readable/);
  });

  it("does without what is missing or out of range", () => {
    const tokens = { text: ["a", "b"], special: [7], words: [0] };
    const kind = readCapture({
      ...captureInfo(),
      kinds: [{ ...kindInfo(), queries: tokens, notes: { row_sums: [Number.NaN, 1] } }],
    }).kinds[0];
    expect(kind?.queries).toEqual({ text: ["a", "b"], special: [], words: [0, 1], segments: null });
    expect(kind?.notes.row_sums).toBeNull();
  });

  it("reads patches and times of tokens, and leaves out what does not fit", () => {
    const tokens = { text: ["[CLS]", "patch 0,1"], special: [0], words: [-1, 0], segments: null };
    const read = (extra: object) =>
      readCapture({ ...captureInfo(), kinds: [{ ...kindInfo(), queries: { ...tokens, ...extra } }] }).kinds[0]
        ?.queries;
    const media = { patches: [null, [0, 1, 2, 3]], times: [null, [0.4, 0.42]] };
    expect(read(media)).toEqual({ ...tokens, ...media });
    expect(read({ patches: [null, [2, 1, 2, 3]], times: [[0, 1]] })).toEqual(tokens);
  });
});

it("requests are told from anything else", () => {
  const request = {
    type: "weights",
    kind: "self",
    measure: "weights",
    heads: [[0, 1]],
    queries: [0, 2],
    keys: [0, 2],
  };
  expect(isRequest(request)).toBe(true);
  expect(isRequest({ ...request, heads: [[0, -1]] })).toBe(false);
  expect(isRequest({ ...request, queries: [2, 0] })).toBe(false);
  expect(isRequest({ type: "pair", kind: "self", query: 1, key: 2 })).toBe(true);
  expect(isRequest({ type: "pair", kind: "self", query: 1.5, key: 2 })).toBe(false);
  expect(isRequest({ type: "cancel", id: "a", kind: "self" })).toBe(false);
  expect(isSpan([3, 3])).toBe(true);
});

it("replies are told from anything else", () => {
  expect(isReply({ id: "a", type: "hello", version: 1 })).toBe(true);
  expect(isReply({ id: "a", error: { name: "E", message: "no" } })).toBe(true);
  expect(isReply({ id: "a", error: "no" })).toBe(false);
  expect(isReply({ id: "a", type: "pair", shape: [1, 2], dtype: "float32" })).toBe(true);
  expect(isReply({ id: "a", type: "pair", shape: [1, 2], dtype: "float64" })).toBe(false);
  expect(isReply({ id: 3, type: "hello" })).toBe(false);
});
