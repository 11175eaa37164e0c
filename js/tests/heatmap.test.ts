import { describe, expect, it } from "vitest";
import { makeAxis } from "../src/attention/axis.js";
import { largest, pixelStarts } from "../src/draw/heatmap.js";
import { strideFor, tickAt } from "../src/views/matrix-labels.js";

describe("cells smaller than a pixel", () => {
  it("each is in one pixel, and each pixel has one", () => {
    for (const [from, to, start, scale] of [
      [0, 467, 0, 0.72],
      [0, 1000, 0, 0.31],
      [13, 700, 13.7, 0.999],
      [2, 4, 2.9, 0.5],
      [5, 6, 5, 0.2],
    ] as const) {
      const starts = pixelStarts([from, to], start, scale);
      expect(starts[0]).toBe(from);
      expect(starts.at(-1)).toBe(to);
      starts.slice(1).forEach((end, at) => {
        expect(end).toBeGreaterThan(starts[at] as number);
      });
      expect(starts.length - 1).toBeLessThanOrEqual(Math.ceil((to - start) * scale) + 1);
    }
  });

  it("a cell that has a pixel to itself is drawn as it is", () => {
    expect(pixelStarts([3, 6], 3.5, 1)).toEqual([3, 4, 5, 6]);
    expect(pixelStarts([3, 3], 3, 2)).toEqual([3]);
  });

  it("the largest stands for all, numbers before masks, masks before what is not here", () => {
    const numbers = [
      [Number.NaN, Number.NaN, Number.NaN, Number.NaN],
      [0.2, Number.NaN, 0.1, undefined],
      [0.3, 0.9, undefined, undefined],
    ];
    const at = (row: number, column: number) => numbers[row]?.[column];
    expect(largest(at, [0, 3], [0, 4], [1, 1])).toBe(0.9);
    expect(largest(at, [0, 2], [0, 3], [1, 1])).toBe(0.2);
    expect(largest(at, [0, 1], [0, 4], [1, 1])).toBeNaN();
    expect(largest(at, [1, 2], [1, 4], [1, 1])).toBe(0.1);
    expect(largest(at, [2, 3], [2, 4], [1, 1])).toBeUndefined();
  });

  it("where zero is in the middle, the farthest from it stands for all", () => {
    const at = (_: number, column: number) => [0.6, 0.1, 0.8][column];
    expect(largest(at, [0, 1], [0, 3], [1, 1], 0.5)).toBe(0.1);
    expect(largest(at, [0, 1], [0, 3], [1, 1])).toBe(0.8);
  });

  it("of cells that are alike one is read", () => {
    const read: string[] = [];
    largest((row, column) => read.push(`${row} ${column}`), [2, 9], [3, 6], [4, 3]);
    expect(read).toEqual(["3 3", "7 3", "8 3"]);
  });
});

describe("the axes of a matrix", () => {
  it("count in round steps that leave room", () => {
    for (const cell of [0.004, 0.03, 0.11, 0.4, 0.9, 1, 2.3, 5, 9.9]) {
      const stride = strideFor(cell);
      expect(stride * cell).toBeGreaterThanOrEqual(22);
      expect([1, 2, 5]).toContain(stride / 10 ** Math.floor(Math.log10(stride)));
    }
    expect([10, 9, 4, 1.1, 0.9, 0.2].map(strideFor)).toEqual([1, 5, 10, 20, 50, 200]);
  });

  it("number tokens, not words", () => {
    const tokens = { text: ["a", "b", "c", "d", "e"], special: [], words: [0, 0, 0, 1, 2], segments: null };
    const words = makeAxis(tokens, true);
    expect([0, 1, 2].map((at) => tickAt(words, at, 2))).toEqual([0, null, 4]);
    expect([0, 1, 2].map((at) => tickAt(words, at, 1))).toEqual([0, 3, 4]);
    const plain = makeAxis(tokens, false);
    expect([0, 1, 2, 3, 4].map((at) => tickAt(plain, at, 2))).toEqual([0, null, 2, null, 4]);
  });
});
