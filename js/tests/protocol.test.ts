import { describe, expect, it } from "vitest";
import { headName, shortHeadName, spokenHeadName } from "../src/headname.js";
import type { KindInfo } from "../src/protocol.js";
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

  it("reads a part of a long text, and refuses one that does not say which", () => {
    const part = {
      text: ["a", "b", "y"],
      special: [0, 8],
      words: [0, 0, 7],
      segments: null,
      gaps: [0, 0, 1],
    };
    const read = (extra: object) =>
      readCapture({ ...captureInfo(), kinds: [{ ...kindInfo(), queries: { ...part, ...extra } }] }).kinds[0]
        ?.queries;
    const whole = read({
      count: 9,
      spans: [
        [0, 2],
        [7, 8],
      ],
      turns: [[0, 9, "user"]],
    });
    expect(whole).toEqual({
      text: ["a", "b", "…", "…", "…", "…", "…", "y", "…"],
      special: [0, 8],
      words: [0, 0, -1, -1, -1, -1, -1, 7, -1],
      segments: null,
      gaps: [0, 0, 0, 0, 0, 0, 0, 1, 0],
      turns: [[0, 9, "user"]],
      partial: true,
    });
    expect(() => read({ count: 9 })).toThrow(/must say which/);
    expect(() => read({ count: 9, spans: [[0, 2]] })).toThrow(/does not fit/);
    expect(() => read({ count: 2, spans: [[0, 3]] })).toThrow(/does not fit/);
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

  it("takes names of heads that tell every head apart, and no others", () => {
    const read = (names: unknown) =>
      readCapture({ ...captureInfo(), kinds: [{ ...kindInfo(), names }] }).kinds[0]?.names;
    const names = [
      ["L0H1", "<b>"],
      ["a", "b", "c", "d"],
    ];
    expect(read(names)).toEqual(names);
    expect(read([["a"], names[1]])).toBeUndefined();
    expect(read([["a", "b"], names[1]])).toBeUndefined();
    expect(read([["", "x"], names[1]])).toBeUndefined();
    expect(read([[1, "x"], names[1]])).toBeUndefined();
    expect(read("L0H1")).toBeUndefined();
  });
});

it("heads are called by the names they were given, or by their numbers", () => {
  const named = kindInfo({
    names: [
      ["5.3", "7.1"],
      ["a", "b", "c", "d"],
    ],
  });
  const all = (kind: KindInfo) => [headName, shortHeadName, spokenHeadName].map((name) => name(kind, [2, 3]));
  expect(all(named)).toEqual(["d", "d", "d"]);
  expect(all(kindInfo())).toEqual(["Layer 2 · Head 3", "L2 H3", "Layer 2, head 3"]);
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
