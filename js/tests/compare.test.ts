import { describe, expect, it } from "vitest";
import { makeAxis } from "../src/attention/axis.js";
import { readCompare } from "../src/protocol-check.js";
import { alignAxes, unitsIn } from "../src/views/compare-align.js";
import { captureInfo, kindInfo } from "./samples.js";

const axis = (text: string[], words = text.map((_, at) => at), whole = false) =>
  makeAxis({ text, special: [], words, segments: null }, whole);

describe("two texts as one", () => {
  const a = axis(["a", "b", "c", "d"]);
  const b = axis(["a", "x", "c", "d", "e"]);
  const both = alignAxes(a, b, [
    [0, 0, 1],
    [2, 2, 2],
  ]);

  it("equal tokens share a place, deletions come before insertions", () => {
    expect(both.slots.map(({ a: one, b: two }) => [one, two])).toEqual([
      [0, 0],
      [1, null],
      [null, 1],
      [2, 2],
      [3, 3],
      [null, 4],
    ]);
    expect(both.axis.units.map(({ text }) => text)).toEqual(["a", "b", "x", "c", "d", "e"]);
  });

  it("places are found from the first text", () => {
    expect(both.placeOfA.get(2)).toBe(3);
    expect(both.bOfA.get(1)).toBeUndefined();
    expect(both.bOfA.get(3)).toBe(3);
  });

  it("a range of places holds a range of units of each", () => {
    expect(unitsIn(both, "a", 1, 4)).toEqual([1, 3]);
    expect(unitsIn(both, "b", 1, 2)).toEqual([0, 0]);
  });

  it("holds every unit of both once, also with words joined and with nothing in common", () => {
    const one = axis(["un", "##able", " cat"], [0, 0, 1], true);
    const two = axis(["un", "do", " cat"], [0, 1, 2], true);
    for (const runs of [[], [[0, 0, 1] as const, [2, 2, 1] as const]]) {
      const found = alignAxes(one, two, runs);
      expect(found.slots.flatMap((slot) => slot.a ?? [])).toEqual([0, 1]);
      expect(found.slots.flatMap((slot) => slot.b ?? [])).toEqual([0, 1, 2]);
    }
  });
});

describe("the description of a second capture", () => {
  const capture = captureInfo(kindInfo());
  const kinds = { self: { layers: [0], queries: [[0, 0, 5]], keys: [[0, 0, 5]] } };

  it("is read, with what cannot be compared", () => {
    expect(readCompare({ capture, kinds, refused: { cross: "none" } })).toMatchObject({
      kinds,
      refused: { cross: "none" },
    });
  });

  it("is nothing where there is none", () => {
    expect(readCompare({})).toBeUndefined();
    expect(readCompare(undefined)).toBeUndefined();
  });

  it.each([
    [{ capture, kinds: { self: { layers: [0], queries: [[0, 0]], keys: [] } } }],
    [{ capture, kinds: { self: null } }],
    [{ capture: { version: 1 }, kinds }],
  ])("is refused when it is damaged: %j", (value) => {
    expect(() => readCompare(value)).toThrow("not readable");
  });
});
