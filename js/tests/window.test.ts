import { describe, expect, it } from "vitest";
import { type Line, strongest } from "../src/views/lines.js";
import { clampViewport, fitCell, revealCell, zoomAt } from "../src/views/viewport.js";
import {
  type ColumnWindow,
  drawnMiddle,
  heldMiddle,
  middleOf,
  offsetOf,
  pitchFor,
  scrollTo,
  visibleRange,
} from "../src/views/window.js";

const column = (offset: number, count = 1000): ColumnWindow => ({ count, pitch: 20, height: 200, offset });

describe("a column's window", () => {
  it("shows the rows that touch it", () => {
    expect(visibleRange(column(0))).toEqual({ from: 0, to: 10 });
    expect(visibleRange(column(30))).toEqual({ from: 1, to: 12 });
    expect(visibleRange(column(30), 4)).toEqual({ from: 0, to: 16 });
    expect(visibleRange(column(19_800), 4)).toEqual({ from: 986, to: 1000 });
    expect(visibleRange(column(0, 0), 4)).toEqual({ from: 0, to: 0 });
  });

  it("two columns of unequal length reach their ends together", () => {
    expect(offsetOf(0, 2000, 20_000, 200)).toBe(0);
    expect(offsetOf(19_800, 20_000, 20_000, 200)).toBe(19_800);
    expect(offsetOf(19_800, 2000, 20_000, 200)).toBe(1800);
    expect(offsetOf(9900, 2000, 20_000, 200)).toBe(900);
    expect(offsetOf(9900, 100, 20_000, 200)).toBe(0);
  });

  it("a pinned row stays at the edge", () => {
    expect(middleOf(column(100), 5)).toBe(10);
    expect(heldMiddle(column(100), 0)).toBe(10);
    expect(heldMiddle(column(100), 900)).toBe(190);
    expect(heldMiddle(column(100), 7)).toBe(50);
  });

  it("scrolls just far enough, and not at all for what is inside", () => {
    expect(scrollTo(column(100), 7, 20_000, 100)).toBeNull();
    expect(scrollTo(column(100), 2, 20_000, 100)).toBe(40);
    expect(scrollTo(column(100), 20, 20_000, 100)).toBe(220);
    const short = { ...column(0, 100), offset: 0 };
    expect(scrollTo(short, 99, 20_000, 0)).toBe(19_800);
  });

  it("keeps a step off the edge, and brings what is far to the middle", () => {
    const step = { least: 20, aim: 20 };
    expect(scrollTo(column(100), 6, 20_000, 100, step)).toBeNull();
    expect(scrollTo(column(100), 5, 20_000, 100, step)).toBe(80);
    expect(scrollTo(column(100), 14, 20_000, 100, step)).toBe(120);
    const far = { least: 0, aim: 100 };
    expect(scrollTo(column(100), 5, 20_000, 100, far)).toBeNull();
    expect(scrollTo(column(0), 500, 20_000, 0, far)).toBe(9920);
    expect(scrollTo(column(0), 999, 20_000, 0, far)).toBe(19_800);
    expect(scrollTo(column(19_800), 0, 20_000, 19_800, far)).toBe(0);
  });

  it("what a held row covers is not drawn", () => {
    expect(drawnMiddle(column(95), 5, null)).toBe(15);
    expect(drawnMiddle(column(95), 5, 2)).toBeNull();
    expect(drawnMiddle(column(95), 2, 2)).toBe(10);
    expect(drawnMiddle(column(95), 6, 2)).toBe(35);
    expect(drawnMiddle(column(95), 6, 7)).toBe(35);
    expect(drawnMiddle(column(95), 14, 99)).toBeNull();
  });

  it("rows are as tall as fits, within reason", () => {
    expect([pitchFor(377, 13), pitchFor(300, 13), pitchFor(300, 5000), pitchFor(300, 2)]).toEqual([
      29, 23, 22, 29,
    ]);
  });
});

describe("a matrix's viewport", () => {
  const room = { width: 300, height: 200, rows: 100, columns: 100 };

  it("fits all of it, and never shows beyond its edge", () => {
    expect(fitCell(room)).toBe(2);
    expect(clampViewport({ top: -5, left: 90, cell: 10 }, room)).toEqual({ top: 0, left: 70, cell: 10 });
    expect(clampViewport({ top: 3, left: 3, cell: 0.1 }, room)).toEqual({ top: 0, left: 0, cell: 2 });
    expect(fitCell({ ...room, rows: 1, columns: 1 })).toBe(44);
  });

  it("zooms around the point", () => {
    const before = { top: 10, left: 20, cell: 4 };
    const after = zoomAt(before, room, 2, 120, 60);
    expect(after.top + 60 / after.cell).toBeCloseTo(before.top + 60 / before.cell);
    expect(after.left + 120 / after.cell).toBeCloseTo(before.left + 120 / before.cell);
    expect(after.cell).toBe(8);
  });

  it("pans just far enough to reveal a cell", () => {
    const view = { top: 10, left: 10, cell: 10 };
    expect(revealCell(view, room, 15, 15)).toEqual(view);
    expect(revealCell(view, room, 35, 5)).toEqual({ top: 16, left: 5, cell: 10 });
  });
});

describe("the strongest lines", () => {
  const line = (strength: number, emphasis: 0 | 1 | 2 = 0): Line => ({
    series: 0,
    query: 0,
    key: 0,
    strength,
    emphasis,
  });

  it("all of them while they can be drawn", () => {
    const lines = [line(0.1), line(0.9)];
    expect(strongest(lines, 2)).toBe(lines);
  });

  it("the emphasised first, then by strength, and never more than asked", () => {
    const lines = Array.from({ length: 500 }, (_, at) => line(at / 500));
    lines.push(line(0.001, 2));
    const kept = strongest(lines, 100);
    expect(kept.length).toBe(100);
    expect(kept.some(({ emphasis }) => emphasis === 2)).toBe(true);
    expect(
      Math.min(...kept.filter(({ emphasis }) => emphasis === 0).map(({ strength }) => strength)),
    ).toBeGreaterThan(0.79);
  });

  it("equal lines are cut too", () => {
    expect(
      strongest(
        Array.from({ length: 50 }, () => line(0.5)),
        7,
      ).length,
    ).toBe(7);
  });
});
