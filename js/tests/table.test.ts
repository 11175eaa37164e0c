// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeAxis } from "../src/attention/axis.js";
import { orderRows, rowsThatFit, type Sorting } from "../src/controls/table-order.js";
import { mount } from "../src/page.js";
import { SavedChannel } from "../src/source/saved.js";
import { CachedSource } from "../src/source.js";
import { State } from "../src/state.js";
import { captureInfo, kindInfo, noise } from "./samples.js";
import { standIn } from "./stand-in.js";

const text = ["[CLS]", "d", "b", "a", "c", "[SEP]"];
const axis = makeAxis({ text, special: [0, 5], words: [], segments: null }, false);
const one = Float32Array.from([0.1, 0.4, Number.NaN, 0.3, 0.05, 0.15]);
const two = Float32Array.from([0.9, 0.01, 0.02, 0.03, 0.04, 0]);
const rows = (by: Sorting["by"], direction: Sorting["direction"], over = {}) =>
  orderRows(axis, [one, two], { by, direction }, { special: true, signed: false, most: 200, ...over }).shown;

describe("the order of rows", () => {
  it("goes by position, by name or by a column, both ways", () => {
    expect(rows("position", "ascending")).toEqual([0, 1, 2, 3, 4, 5]);
    expect(rows("position", "descending")).toEqual([5, 4, 3, 2, 1, 0]);
    expect(rows("token", "ascending").map((at) => text[at])).toEqual(["[CLS]", "[SEP]", "a", "b", "c", "d"]);
    expect(rows(0, "descending")).toEqual([1, 3, 5, 0, 4, 2]);
    expect(rows(0, "ascending")).toEqual([4, 0, 5, 3, 1, 2]);
    expect(rows(1, "descending")).toEqual([0, 4, 3, 2, 1, 5]);
  });

  it("keeps the strongest of any column, or of the column sorted by", () => {
    expect(rows("position", "ascending", { most: 3 })).toEqual([0, 1, 3]);
    expect(rows(1, "ascending", { most: 2 })).toEqual([4, 0]);
  });

  it("counts effects against as strong, and scores of minus infinity not", () => {
    const effects = Float32Array.from([-0.5, 0.1, 0.2, 0, 0.3, -0.01]);
    const scores = Float32Array.from([1, Number.NEGATIVE_INFINITY, -2, 0, -3, 4]);
    const pick = (values: Float32Array, signed: boolean) =>
      orderRows(
        axis,
        [values],
        { by: "position", direction: "ascending" },
        { special: true, signed, most: 2 },
      ).shown;
    expect(pick(effects, true)).toEqual([0, 4]);
    expect(pick(scores, false)).toEqual([0, 5]);
  });

  it("leaves special tokens out where they take no part", () => {
    expect(rows("position", "ascending", { special: false })).toEqual([1, 2, 3, 4]);
  });

  it("has fewer rows the more columns there are", () => {
    expect([1, 20, 40, 64].map(rowsThatFit)).toEqual([200, 200, 100, 62]);
    expect(rowsThatFit(1000)).toBe(50);
  });
});

describe("the table in the page", () => {
  let end: AbortController;
  standIn();
  beforeEach(() => {
    end = new AbortController();
  });
  afterEach(() => end.abort());

  const data = noise(6 * 6).map((value) => Math.abs(value));
  const shown = () => {
    const queries = { text: ["<b>x</b>", ...text.slice(1)], special: [0, 5], words: [], segments: null };
    const state = new State(captureInfo(kindInfo({ queries })), { query: 1, heads: [[0, 0]] });
    const request = {
      type: "weights" as const,
      kind: "self",
      measure: "weights",
      heads: [[0, 0] as [number, number]],
      queries: [0, 6] as [number, number],
      keys: [0, 6] as [number, number],
    };
    const source = new CachedSource(new SavedChannel(), [{ request, reply: { shape: [1, 6, 6], data } }]);
    mount(document.body, state, source, end.signal);
    return state;
  };
  const frame = () => new Promise((go) => setTimeout(go, 200));
  const press = (key: string, on: Element | null = document.activeElement) =>
    on?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true }));
  const cells = () =>
    [...document.querySelectorAll(".table-twin tbody tr")].map((row) =>
      Number(row.querySelector("[data-weight]")?.getAttribute("data-weight")),
    );
  const twin = () => document.querySelector<HTMLElement>(".table-twin");

  it("opens with t, holds the row's exact numbers, and closes with Escape where it came from", async () => {
    const state = shown();
    await frame();
    const from = document.querySelector<HTMLElement>(".panel");
    from?.focus();
    press("t");
    await frame();
    expect(twin()?.hidden).toBe(false);
    expect(document.activeElement?.className).toBe("table-scroller");
    expect(cells()).toEqual([...data.slice(6, 12)]);
    const sum = Number(
      document.querySelector(".table-twin tfoot [data-weight]")?.getAttribute("data-weight"),
    );
    expect(sum).toBeCloseTo(
      data.slice(6, 12).reduce((a, b) => a + b, 0),
      5,
    );
    expect(document.querySelector(".table-twin b b")).toBeNull();
    state.set({ query: 4 });
    await frame();
    expect(cells()).toEqual([...data.slice(24, 30)]);
    press("Escape");
    expect(twin()?.hidden).toBe(true);
    expect(document.activeElement).toBe(from);
    expect(state.now.query.value).toBe(4);
  });

  it("shows who attends to a key, and keeps what was last pointed at", async () => {
    const state = shown();
    state.set({ query: null });
    state.page.hoverKey.value = 2;
    document.querySelector<HTMLElement>(".table-button")?.click();
    state.page.hoverKey.value = null;
    await frame();
    expect(cells()).toEqual([0, 1, 2, 3, 4, 5].map((query) => data[6 * query + 2]));
    expect(document.querySelector(".table-twin tfoot")?.childElementCount).toBe(0);
    state.set({ whole_words: true });
    await frame();
    expect(document.querySelector<HTMLElement>(".table-twin table")?.hidden).toBe(true);
    expect(document.querySelector<HTMLElement>(".table-twin .hint")?.hidden).toBe(false);
  });

  it("sorts by a header, which keeps the focus", async () => {
    shown();
    document.querySelector<HTMLElement>(".table-button")?.click();
    await frame();
    const header = document.querySelectorAll<HTMLElement>(".table-twin .sorter")[2];
    header?.focus();
    header?.click();
    await frame();
    expect(cells()).toEqual([...data.slice(6, 12)].sort((a, b) => b - a));
    expect(header?.parentElement?.getAttribute("aria-sort")).toBe("descending");
    header?.click();
    await frame();
    expect(cells()).toEqual([...data.slice(6, 12)].sort((a, b) => a - b));
    expect(document.activeElement).toBe(header);
  });
});
