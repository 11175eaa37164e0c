import { describe, expect, it } from "vitest";
import { joinKeys, makeAxis, maxRows, meanRows } from "../src/attention/axis.js";
import { withoutSpecial } from "../src/attention/special.js";
import { domainOf, strengthOf, topPositions } from "../src/attention/strength.js";
import { kindInfo } from "./samples.js";

const tokens = kindInfo().queries;
const f = (...values: number[]) => new Float32Array(values);

describe("axes", () => {
  it("one unit per token", () => {
    const axis = makeAxis(tokens, false);
    expect(axis.units.map((unit) => unit.text)).toEqual(tokens.text);
    expect(axis.units.map((unit) => unit.special)).toEqual([true, false, false, false, true]);
  });

  it("pieces joined into words, special tokens apart", () => {
    const axis = makeAxis(tokens, true);
    expect(axis.units.map((unit) => unit.text)).toEqual(["[CLS]", "unable", " it", "[SEP]"]);
    expect([...axis.unitOf]).toEqual([0, 1, 1, 2, 3]);
  });

  it("words with the same number join only where they touch", () => {
    const axis = makeAxis({ text: ["a", "b", "c"], special: [1], words: [0, -1, 0], segments: null }, true);
    expect(axis.units.length).toBe(3);
  });

  it("weights of pieces add up, scores as exponentials, masked pieces left out", () => {
    const axis = makeAxis(tokens, true);
    const row = f(0.1, 0.2, 0.3, Number.NaN, 0.4);
    const [cls, word, it, sep] = joinKeys(row, axis, false);
    expect([cls, word, it, sep]).toEqual([
      Math.fround(0.1),
      Math.fround(Math.fround(0.2) + Math.fround(0.3)),
      Number.NaN,
      Math.fround(0.4),
    ]);
    expect(joinKeys(f(0, 1, 2, 0, 0), axis, true)[1]).toBeCloseTo(Math.log(Math.exp(1) + Math.exp(2)), 6);
    expect(joinKeys(f(0, 1, Number.NaN, 0, 0), axis, true)[1]).toBe(1);
  });
});

it("rows join over those that have a number", () => {
  const rows = [f(1, Number.NaN, 4), f(3, Number.NaN, Number.NaN)];
  expect([...meanRows(rows)]).toEqual([2, Number.NaN, 4]);
  expect([...maxRows(rows)]).toEqual([3, Number.NaN, 4]);
});

describe("special tokens", () => {
  const axis = makeAxis(tokens, false);

  it("go, the rest is what the softmax gives without them, and their share is told", () => {
    const { row, removed } = withoutSpecial(f(0.5, 0.1, 0.1, 0.2, 0.1), axis, true);
    expect(removed).toBeCloseTo(0.6, 6);
    expect(row[0]).toBeNaN();
    expect(row[3]).toBeCloseTo(0.5, 6);
    expect((row[1] ?? 0) + (row[2] ?? 0) + (row[3] ?? 0)).toBeCloseTo(1, 6);
  });

  it("a row that was all special is not divided by nothing", () => {
    const { row, removed } = withoutSpecial(f(1, 0, 0, 0, 0), axis, true);
    expect(removed).toBe(1);
    expect([...row.subarray(1, 4)]).toEqual([0, 0, 0]);
  });

  it("scores are hidden and not rescaled", () => {
    const { row, removed } = withoutSpecial(f(9, 1, 2, 3, 9), axis, false);
    expect([...row]).toEqual([Number.NaN, 1, 2, 3, Number.NaN]);
    expect(removed).toBe(0);
  });
});

describe("strength", () => {
  const values = f(0, 0.25, 1, Number.NaN);
  const domain = domainOf([values]);

  it("linear", () => {
    expect([...values].map(strengthOf("linear", domain, () => values))).toEqual([0, 0.25, 1, Number.NaN]);
    expect(strengthOf("linear", { least: -2, most: 2 }, () => values)(0)).toBe(0.5);
  });

  it("log covers four decades", () => {
    const of = strengthOf("log", { least: 0, most: 1 }, () => values);
    expect([1, 0.01, 1e-4, 1e-9, 0].map((value) => Number(of(value).toFixed(6)))).toEqual([1, 0.5, 0, 0, 0]);
  });

  it("rank orders, equal values alike", () => {
    const of = strengthOf("rank", domain, () => f(5, 1, 1, 9, Number.NaN));
    expect([1, 5, 9].map(of)).toEqual([0, 2 / 3, 1]);
  });

  it("a flat row is not divided by nothing", () => {
    expect(strengthOf("linear", domainOf([f(2, 2)]), () => f(2, 2))(2)).toBe(0);
  });

  it("top positions, ties in order, masked left out", () => {
    expect(topPositions(f(0.1, 0.5, Number.NaN, 0.5, 0.7), 3)).toEqual([4, 1, 3]);
    expect(topPositions(f(Number.NaN), 3)).toEqual([]);
  });
});
