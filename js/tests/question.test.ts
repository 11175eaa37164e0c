import { describe, expect, it } from "vitest";
import { hitsOf } from "../src/controls/links.js";
import { findToken, sidesOf } from "../src/controls/question.js";
import { kindInfo } from "./samples.js";

const tokens = kindInfo({
  queries: {
    text: ["[CLS]", " The", " un", "##able", " cat", " the", " 7", "[SEP]"],
    special: [0, 7],
    words: [-1, 0, 1, 1, 2, 3, 4, -1],
    segments: null,
  },
}).queries;

describe("a question", () => {
  it.each(["it -> cat", "it→cat", "“it” => 'cat'", " it --> cat "])("has two sides: %s", (text) => {
    expect(sidesOf(text)).toEqual(["it", "cat"]);
  });

  it.each(["it", "it ->", "-> cat", "a -> b -> c", ""])("needs two: %s", (text) => {
    expect(sidesOf(text)).toBeNull();
  });

  it("finds tokens without their space, words by their first piece, and the exact case first", () => {
    expect(findToken(tokens, "cat")).toEqual({ position: 4 });
    expect(findToken(tokens, "unable")).toEqual({ position: 2 });
    expect(findToken(tokens, "able")).toEqual({ position: 3 });
    expect(findToken(tokens, "the")).toEqual({ position: 5 });
    expect(findToken(tokens, "THE")).toEqual({ position: 1 });
    expect(findToken(tokens, "[sep]")).toEqual({ position: 7 });
  });

  it("takes positions, unless a token is called so", () => {
    expect(findToken(tokens, "3")).toEqual({ position: 3 });
    expect(findToken(tokens, "7")).toEqual({ position: 6 });
    expect(findToken(tokens, "#7")).toEqual({ position: 7 });
    expect(findToken(tokens, "12")).toEqual({
      problem: "There is no position 12: the 8 tokens have positions 0 to 7.",
    });
  });

  it("names what is near to what is not there", () => {
    expect(findToken(tokens, "cta")).toMatchObject({ problem: expect.stringContaining("“cat”") });
    expect(findToken(tokens, "zebra")).toEqual({ problem: "There is no token or word “zebra”." });
  });
});

describe("heads that link two tokens", () => {
  const kind = kindInfo({ layers: [3], heads: [2] });
  const weights = { shape: [1, 2], data: Float32Array.from([0.5, 0.25]) };
  const rows = [Float32Array.from([0.2, 0.3, 0.5]), Float32Array.from([0.5, Number.NaN, 0.25])];
  const hits = (pair: [number, number]) =>
    hitsOf({
      kind,
      heads: [
        [3, 0],
        [3, 1],
      ],
      weights,
      pair,
      rowOf: ([, head]) => rows[head],
      levels: {
        shape: [4],
        data: Float32Array.from([0.125, 0.25, 0.375, 0.5]),
        info: { pairs: 4 },
      },
    });

  it("have a rank, and a chance that leaves the pair itself out", () => {
    expect(hits([1, 2]).map(({ rank }) => rank)).toEqual([1, 2]);
    expect(hits([1, 2]).map(({ asGood }) => asGood)).toEqual([0, 2 / 3]);
  });

  it("count every pair where the one asked about is not among them", () => {
    expect(hits([0, 2]).map(({ asGood }) => asGood)).toEqual([1 / 4, 3 / 4]);
    expect(hits([2, 2])[0]?.asGood).toBe(1 / 4);
  });
});
