import { expect, it } from "vitest";
import { byNumber, headsOf, numberOf } from "../src/views/grid-order.js";
import { kindInfo } from "./samples.js";

const kind = kindInfo({ layers: [0, 2], heads: [1, 3] });

it("lists the heads each layer has, by true layer numbers", () => {
  expect(headsOf(kind)).toEqual([
    [0, 0],
    [2, 0],
    [2, 1],
    [2, 2],
  ]);
});

it("orders by number, those without one last", () => {
  const reply = {
    shape: [2, 3],
    data: Float32Array.from([0.2, Number.NaN, Number.NaN, 0.9, Number.NaN, 0.4]),
  };
  const value = (head: readonly [number, number]) => numberOf(kind, reply, head);
  expect(byNumber(headsOf(kind), value, "down")).toEqual([
    [2, 0],
    [2, 2],
    [0, 0],
    [2, 1],
  ]);
  expect(byNumber(headsOf(kind), value, "up")[0]).toEqual([0, 0]);
});

it("reads the first of several numbers a head has", () => {
  const reply = { shape: [2, 3, 2], data: Float32Array.from({ length: 12 }, (_, at) => at) };
  expect(numberOf(kind, reply, [2, 1])).toBe(8);
});
