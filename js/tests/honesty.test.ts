import { describe, expect, it } from "vitest";
import { atMost } from "../src/controls/honesty.js";

describe("what a number is at most", () => {
  it.each([
    [0, "0"],
    [0.0336, "0.04"],
    [0.03, "0.03"],
    [0.01, "0.01"],
    [1, "1.00"],
    [3.1e-7, "4e-7"],
    [3e-7, "3e-7"],
    [9.5e-4, "1e-3"],
  ])("%f is at most %s", (value, said) => {
    expect(atMost(value)).toBe(said);
  });
});
